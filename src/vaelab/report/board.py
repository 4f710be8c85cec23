"""What goes into TensorBoard and `figures/`: pictures of what the model makes, sound, codes, settings."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from typing_extensions import override

from vaelab.data.module import DataModule
from vaelab.errors import UserError
from vaelab.figures.style import png
from vaelab.kind.base import Examined
from vaelab.latent.gaussian import GaussianLatent
from vaelab.report.judge import all_figures, look, quick_measures
from vaelab.variant.base import WIDEST_CODE, Method

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter

    from vaelab.data.batch import Batch

ITEMS = 64
SOUNDS = 4


class Scalars(TensorBoardLogger):
    """TensorBoard's own curves, without Lightning's count of epochs among them."""

    @override
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        super().log_metrics({name: value for name, value in metrics.items() if name != "epoch"}, step)


class Budget:
    """Says whether something may be done that, with this time, shall have taken at most a share of the time so far.

    Args:
        share: of the time since `begin`.
        first: seconds that it is thought to take the first time.
    """

    def __init__(self, share: float, first: float) -> None:
        self.share, self.first = share, first
        self.begin()

    def begin(self) -> None:
        """Let the time begin."""
        self.began, self.spent, self.latest = time.monotonic(), 0.0, self.first

    def allows(self) -> bool:
        """Whether it may be done now."""
        return self.spent + self.latest <= self.share * (time.monotonic() - self.began)

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Count what is done in here."""
        began = time.monotonic()
        yield
        self.latest = time.monotonic() - began
        self.spent += self.latest


class Board(L.Callback):
    """On TensorBoard, each latent dimension's KL at every validation; items and samples every so many epochs.

    `every_epochs` None draws whenever pictures, with these, will have cost at most `SHARE` of the time so far: a short
    run has its pictures at its end alone, and a long one never waits for them. Without `figures` there are none. The
    kind's own measures of the same items are there whenever they cost at most `MEASURING` of the time.
    """

    SHARE: ClassVar[float] = 0.02
    MEASURING: ClassVar[float] = 0.01
    # Seconds that the first drawing takes, with what it imports, and the first measuring.
    FIRST: ClassVar[tuple[float, float]] = (1.0, 0.02)

    def __init__(self, data: DataModule, every_epochs: int | None, figures: bool = True) -> None:
        if every_epochs is not None and every_epochs < 1:
            raise UserError(f"report.every_epochs must be at least 1, or null, not {every_epochs}")
        self.data, self.every_epochs, self.figures = data, every_epochs, figures
        self.drawing, self.measuring = map(Budget, (self.SHARE, self.MEASURING), self.FIRST)

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Have what a run that was killed wrote of the steps that are now taken again forgotten."""
        self.drawing.begin()
        self.measuring.begin()
        if trainer.is_global_zero and isinstance(trainer.logger, TensorBoardLogger):
            forget_after(trainer.logger.experiment, trainer.global_step)

    def _due(self, epoch: int) -> bool:
        return self.drawing.allows() if self.every_epochs is None else epoch % self.every_epochs == 0

    def _look(self, module: Method) -> Batch | Examined:
        return look(module, self.data.loader("val", ITEMS))

    @override
    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not (trainer.is_global_zero and isinstance(trainer.logger, TensorBoardLogger)):
            return
        assert isinstance(module, Method)
        writer, step = trainer.logger.experiment, trainer.global_step
        for name, values in module.histograms().items():
            writer.add_histogram(f"val/{name}", values, step)
        if self.measuring.allows():
            with self.measuring.spending():
                measured = quick_measures(module, self._look(module), self.data)
                add_measures(writer, {f"val/{name}": value for name, value in measured.items()}, step)
        if self.figures and self._due(trainer.current_epoch + 1):
            with self.drawing.spending():
                seen = self._look(module)
                for name, figure in all_figures(module, seen).items():
                    add_picture(writer, name, png(figure), step)
                add_sounds(writer, module, seen, step)


def forget_after(writer: SummaryWriter, step: int) -> None:
    """Have TensorBoard leave out all that was written before now of later steps."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog

    # Of the first start of a session it thinks that there was nothing before.
    for _ in range(2):
        start = Event(step=step + 1, session_log=SessionLog(status=SessionLog.START))
        writer._get_file_writer().add_event(start)


def add_measures(writer: SummaryWriter, measures: Mapping[str, float], step: int) -> None:
    """Put numbers on the board, each under its name, if they are numbers."""
    for name, value in measures.items():
        if math.isfinite(value):
            writer.add_scalar(name, value, step)


def add_picture(writer: SummaryWriter, name: str, file: bytes, step: int) -> None:
    """Put the bytes of a PNG file on the board."""
    from io import BytesIO

    from PIL import Image
    from tensorboard.compat.proto.summary_pb2 import Summary

    width, height = Image.open(BytesIO(file)).size
    picture = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=file)
    # `add_image` takes pixels, which it would compress once more.
    writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=name, image=picture)]), step)


def add_sounds(writer: SummaryWriter, method: Method, seen: Batch | Examined, step: int) -> None:
    """Put originals, reconstructions and new items on the board to be played, where they are sound."""
    level = seen.level[:SOUNDS]
    sounds = {"original": method.kind.sounds(seen.x[:SOUNDS], level)}
    if not sounds["original"]:
        return
    if isinstance(seen, Examined):
        sounds["reconstruction"] = method.kind.sounds(seen.reconstruction[:SOUNDS], level)
    if method.has_samples:
        sounds["prior"] = method.kind.sounds(method.sample(SOUNDS, method.seed), None)
    for name, rows in sounds.items():
        for k, sound in enumerate(rows):
            writer.add_audio(f"sound/{name}/{k}", sound.wave[None], step, sample_rate=sound.sample_rate)


def add_codes(writer: SummaryWriter, method: Method, examined: Examined, step: int) -> None:
    """Put the codes on the projector, with their labels, and as pictures where the items are pictures."""
    if examined.code.shape[1] > WIDEST_CODE or examined.code.shape[1] < 2:
        return
    sprites = method.kind.sprites(examined.x)
    if sprites is not None and sprites.shape[2] != sprites.shape[3]:
        sprites = None
    with warnings.catch_warnings():
        # TensorBoard asks for a summary that we have just made.
        warnings.simplefilter("ignore")
        writer.add_embedding(examined.code, label_words(method, examined.label), sprites, step, "codes")


def label_words(method: Method, labels: Tensor) -> list[str] | None:
    """The name of each item's class, or None where nothing is known."""
    if not len(labels) or bool((labels < 0).all()):
        return None
    names = method.signature.label_names
    return [names[k] if 0 <= k < len(names) else str(k) for k in labels.tolist()]


def save_pictures(folder: Path, pictures: dict[str, bytes]) -> None:
    """Write each PNG file under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in pictures.items():
        (folder / f"{name}.png").write_bytes(file)


def final_figures(
    method: Method, seen: Batch | Examined, history: dict[str, list[tuple[int, float]]], steps: int, kept: int
) -> dict[str, Figure]:
    """The figures of a finished run: those of its kind and its method, its course and its latent space.

    Its course took so many `steps`, and the weights are those after `kept` of them.
    """
    from vaelab.figures.latent import latent_histograms, latent_scatter
    from vaelab.figures.training import history_curves

    drawn = all_figures(method, seen)
    if history:
        drawn["training"] = history_curves(history, kept)
    drawn |= method.plan_figures(steps)
    if isinstance(seen, Examined) and seen.code.shape[1] <= WIDEST_CODE:
        known = label_words(method, seen.label) is not None
        names = method.signature.label_names
        drawn["latent"] = latent_scatter(seen.code, seen.label if known else None, names)
        # Of more dimensions a look costs more: the task `embed` draws them.
        if isinstance(method.latent, GaussianLatent) and method.latent.dims <= 2:
            drawn["latent_histograms"] = latent_histograms(seen.code)
    return drawn
