from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from vaelab.cli import register_resolvers
from vaelab.config import config_dir

TINY = {
    "sine": ["dataset.waves=60", "dataset.samples=32", "architecture.widths=[16]"],
    "digits": ["architecture.widths=[16]", "latent.dim=3"],
    "sprites": ["dataset.items=400", "dataset.split=[0.4,0.1,0.5]", "architecture.widths=[4]", "latent.dim=2"],
    "bottles": [
        *("dataset.designs=60", "dataset.zooms=4", "dataset.size=32", "dataset.split=[0.6,0.1,0.3]"),
        "architecture.widths=[4]",
    ],
    "radio": [
        "dataset.traces=40",
        "dataset.split=[0.8,0.1,0.1]",
        "dataset.samples=64",
        "architecture.widths=[8,8]",
        "optimizer.warmup_steps=1",
    ],
    "denoise": ["architecture.widths=[8,8]", "optimizer.warmup_steps=1"],
    "channel": ["dataset.channels=60", "dataset.taps=16", "architecture.widths=[16]", "optimizer.warmup_steps=1"],
    "mixture": ["dataset.points=600", "dataset.split=[0.6,0.1,0.3]", "architecture.widths=[16]"],
    "audio": ["dataset.clips=6", "dataset.clip_seconds=1.0", "dataset.chunk_seconds=0.5", "architecture.width=4"],
}

TINY |= dict.fromkeys(("digits_gan", "digits_acgan"), TINY["digits"])
TINY |= dict.fromkeys(("mixture_gan", "mixture_flow", "moons"), TINY["mixture"])
TINY |= dict.fromkeys(("radio_uniform", "radio_cosine"), TINY["radio"])


@pytest.fixture
def configure():
    """A resolved training configuration of a tiny experiment, as the command line would compose it."""

    def make(experiment, *overrides):
        register_resolvers()
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            # Another architecture has other settings.
            other = any(word.startswith("architecture=") for word in overrides)
            own = [word for word in TINY[experiment] if not (other and word.startswith("architecture."))]
            words = [f"experiment={experiment}", "accelerator=cpu", *own, *overrides]
            config = compose("train", overrides=words)
        OmegaConf.resolve(config)
        return config

    return make


@pytest.fixture
def tiny(configure):
    """An untrained run of a tiny experiment, its data in memory."""
    from vaelab.run.build import build_data, build_variant
    from vaelab.run.checkpoint import Run

    def make(experiment, *overrides):
        torch.manual_seed(0)
        config = configure(experiment, *overrides)
        data = build_data(config)
        found = data.prepare()
        variant = build_variant(config, data.codec, found.signature, found.shape).eval()
        return Run(Path("nowhere"), Path("nowhere/best.ckpt"), config, variant, _data=data)

    return make


@pytest.fixture
def trainer_of():
    """A quiet trainer on the processor that writes nothing."""
    import lightning as L

    def make(**settings):
        quiet = {
            "logger": False,
            "enable_checkpointing": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
        }
        return L.Trainer(
            **{**quiet, "accelerator": "cpu", "enable_progress_bar": False, "log_every_n_steps": 1, **settings}
        )

    return make


@pytest.fixture
def given():
    """A source that hands over the items that it was given."""
    return lambda items: SimpleNamespace(load=lambda: items)


@pytest.fixture
def fifths(monkeypatch):
    """How many items of a split were served since it was last asked, and how many of the split's fifths they come from.

    Items of one class stand beside each other: what is served from all fifths has seen all classes. Evaluation batches
    are small, so that none holds a split.
    """
    from vaelab.data import module
    from vaelab.data.loader import IndexLoader

    rows, batch = [], IndexLoader._batch
    monkeypatch.setattr(module, "EVALUATION_BATCH", 8)
    monkeypatch.setattr(IndexLoader, "_batch", lambda self, index, *at: rows.append(index) or batch(self, index, *at))

    def found(data, split):
        served, index = torch.cat(rows), data.index[split]
        rows.clear()
        served = served[torch.isin(served, index)]
        return len(served), len((5 * data.numbers(split, served) // len(index)).unique())

    return found


@pytest.fixture
def notes_of():
    """Makes loggers that keep what they are told, as `rows` of (step, metrics)."""
    from lightning.pytorch.loggers.logger import DummyLogger

    class Notes(DummyLogger):
        def __init__(self):
            super().__init__()
            self.rows = []

        def log_metrics(self, metrics, step=None):
            self.rows.append((step, dict(metrics)))

        log_hyperparams = log_graph = finalize = lambda *_, **__: None

    return Notes
