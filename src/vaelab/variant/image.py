"""The VAE of pictures."""

from typing import ClassVar

from vaelab.kind.base import Kind
from vaelab.kind.pictures import Pictures
from vaelab.variant.vae import VAE


class ImageVAE(VAE):
    """The VAE of pictures."""

    name: ClassVar[str] = "image"
    of: ClassVar[type[Kind]] = Pictures
