"""What is trained: a configuration, its data in memory, and the same untrained net for whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor, nn

from vaelab.data.batch import Batch
from vaelab.data.module import DataModule, Found
from vaelab.variant.vae import VAE


def composed(*words: str) -> DictConfig:
    """The training configuration that these words of a command line make."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from vaelab.cli import register_resolvers
    from vaelab.config import config_dir

    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", overrides=list(words))
    OmegaConf.resolve(config)
    return config


@dataclass
class Problem:
    """One thing to train for `epochs`, the same for every arm."""

    words: list[str]
    epochs: int

    @cached_property
    def config(self) -> DictConfig:
        """The configuration, for this many epochs."""
        return composed(*self.words, f"trainer.max_epochs={self.epochs}")

    @cached_property
    def data(self) -> DataModule:
        """The data as vaelab has them, prepared."""
        from vaelab.run.build import build_data

        data = build_data(self.config)
        data.prepare()
        return data

    @cached_property
    def found(self) -> Found:
        """What the data are."""
        return self.data.prepare()

    def variant(self) -> VAE:
        """A new untrained model, with the same weights each time."""
        from vaelab.run.build import build_variant

        torch.manual_seed(self.config.seed)
        return build_variant(self.config, self.data.codec, self.found.signature, self.found.shape)

    @cached_property
    def train(self) -> Batch:
        """The whole training split as tensors in memory, encoded."""
        return self.data.batch("train")

    @cached_property
    def val(self) -> Batch:
        """The whole validation split, likewise."""
        return self.data.batch("val")

    @property
    def denoises(self) -> bool:
        """Whether the target is another tensor than the input."""
        return self.data.items.clean is not None

    @property
    def batch_size(self) -> int:
        """Of the training."""
        return self.config.dataset.batch_size

    @property
    def epoch_steps(self) -> int:
        """Optimizer steps in an epoch."""
        return -(-len(self.data.stores["train"]) // self.batch_size)


class Net(nn.Module):
    """The net, latent and likelihood of a variant, and the negative bound as one would write it by hand."""

    def __init__(self, variant: VAE) -> None:
        super().__init__()
        self.encoder, self.decoder, self.likelihood = variant.encoder, variant.decoder, variant.likelihood
        self.latent = variant.latent

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        """−ELBO in nats per sample, of `(batch, *shape)`."""
        posterior = self.latent.posterior(self.encoder(x))
        params = self.decoder(posterior.sample())
        return posterior.kl().sum(1).mean() - self.likelihood.log_prob(target, params).mean()


# Files such as a user has --------------------------------------------------------------------------------------------


def write_mnist(root: Path, train: int = 60_000, test: int = 500) -> Path:
    """Random black and white pictures in the files and the number of MNIST; 5,000 of `train` become validation."""
    rng, folder = np.random.default_rng(0), root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, count in (("train", train), ("t10k", test)):
        _write_idx(folder / f"{name}-images-idx3-ubyte", 255 * rng.integers(0, 2, (count, 28, 28), dtype=np.uint8))
        _write_idx(folder / f"{name}-labels-idx1-ubyte", rng.integers(0, 10, count, dtype=np.uint8))
    return root


def _write_idx(path: Path, values: np.ndarray) -> None:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes())


def write_pictures(root: Path, count: int = 1000, size: int = 64) -> Path:
    """Coloured PNGs of smooth random shades."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True)
    for k in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(root / f"{k:05d}.png")
    return root
