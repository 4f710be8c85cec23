"""The VAE of sine waves of one known frequency."""

from typing import ClassVar

from vaelab.kind.base import Kind
from vaelab.kind.sines import Sines
from vaelab.variant.vae import VAE


class SineVAE(VAE):
    """The VAE of sine waves of one known frequency."""

    name: ClassVar[str] = "sine"
    of: ClassVar[type[Kind]] = Sines
