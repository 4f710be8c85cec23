"""The VAE of any signals over time."""

from typing import ClassVar

from vaelab.kind.base import Kind
from vaelab.kind.signals import Signals
from vaelab.variant.vae import VAE


class SignalVAE(VAE):
    """The VAE of any signals over time."""

    name: ClassVar[str] = "signal"
    of: ClassVar[type[Kind]] = Signals
