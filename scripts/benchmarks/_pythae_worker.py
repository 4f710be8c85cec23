"""The process in which pythae runs: reads orders from stdin and answers on stdout, a line of JSON each."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn

from benchmarks._problem import Net, Problem
from benchmarks._table import Record
from benchmarks._timing import timed, unseen
from vaelab.data.module import EVALUATION_BATCH


class Encoder(BaseEncoder):
    """An encoder of vaelab's in the form that pythae takes."""

    def __init__(self, net: nn.Module) -> None:
        BaseEncoder.__init__(self)
        self.net = net

    def forward(self, x: Tensor) -> ModelOutput:
        """Mean and log variance."""
        mean, log_variance = self.net(x).chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    """A decoder of vaelab's in the form that pythae takes."""

    def __init__(self, net: nn.Module) -> None:
        BaseDecoder.__init__(self)
        self.net = net

    def forward(self, z: Tensor) -> ModelOutput:
        """Probabilities, which pythae's cross-entropy asks for."""
        return ModelOutput(reconstruction=self.net(z).sigmoid())


class Wrapped(VAE):
    """A model for pythae's trainer whose step is the same net and loss as the other arms'."""

    def __init__(self, net: Net, shape: tuple[int, ...]) -> None:
        config = VAEConfig(input_dim=shape, latent_dim=net.latent.code_size)
        VAE.__init__(self, config, Encoder(net.encoder), Decoder(net.decoder))
        self.net = net

    def forward(self, inputs: Any, **_: Any) -> ModelOutput:
        """The loss of a batch."""
        return ModelOutput(loss=self.net.loss(inputs["data"], inputs["data"]))

    def save(self, dir_path: str) -> None:
        """The weights; pythae would also look for the source of the nets."""
        torch.save({"model_state_dict": self.state_dict()}, Path(dir_path) / "model.pt")


class Worker:
    """What can be asked for."""

    def __init__(self) -> None:
        self.problem: Problem

    def greet(self, order: Record) -> Record:
        """Say what runs here."""
        return {"torch": torch.__version__}

    def load(self, order: Record) -> Record:
        """Make a problem and read its data."""
        self.problem = Problem(order["words"], order["epochs"])
        return {"items": len(self.problem.train.x)}

    def train(self, order: Record) -> Record:
        """Train from the first weights, in a folder that is thrown away."""
        folder = tempfile.mkdtemp(prefix="benchmark_")
        try:
            trainer = self._trainer(folder)
            took = timed(trainer.train)
        finally:
            shutil.rmtree(folder)
        return took | {"steps": self.problem.epochs * len(trainer.train_loader)}

    @torch.inference_mode()
    def nll(self, order: Record) -> Record:
        """The bound on some test pictures by pythae's own function."""
        variant, shape = self.problem.variant().eval(), self.problem.found.shape
        config = VAEConfig(input_dim=shape, latent_dim=variant.latent.code_size, reconstruction_loss="bce")
        model = VAE(config, Encoder(variant.encoder), Decoder(variant.decoder)).eval()
        x, found = self.problem.data.batch("test", order["pictures"]).x, []
        took = timed(lambda: found.append(model.get_nll(x, n_samples=order["draws"], batch_size=order["chunk"])))
        return took | {"bound": float(found[0])}

    def _trainer(self, folder: str) -> BaseTrainer:
        problem = self.problem
        model = Wrapped(Net(problem.variant()), problem.found.shape)
        settings = BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=problem.batch_size,
            per_device_eval_batch_size=EVALUATION_BATCH,
            num_epochs=problem.epochs,
            learning_rate=problem.config.optimizer.lr,
            no_cuda=True,
        )
        train, val = (BaseDataset(batch.x, batch.label) for batch in (problem.train, problem.val))
        return BaseTrainer(model, train, val, settings)


def main() -> None:
    """Answer until the orders end."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    worker = Worker()
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers, unseen():
        for line in sys.stdin:
            order = json.loads(line)
            answers.write(json.dumps(getattr(worker, order["do"])(order)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
