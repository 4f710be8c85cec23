"""The VAE of sound, as log-magnitude spectrograms."""

from typing import ClassVar

from vaelab.kind.base import Kind
from vaelab.kind.sounds import Sounds
from vaelab.variant.vae import VAE


class SpectrogramVAE(VAE):
    """The VAE of sound, as log-magnitude spectrograms."""

    name: ClassVar[str] = "spectrogram"
    of: ClassVar[type[Kind]] = Sounds
