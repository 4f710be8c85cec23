"""The VAE of wireless channels, whose taps fade."""

from typing import ClassVar

from vaelab.kind.base import Kind
from vaelab.kind.channels import Channels
from vaelab.variant.vae import VAE


class ChannelVAE(VAE):
    """The VAE of wireless channels: a code says how strong each tap is, the likelihood how it happens to fade.

    The phase of a fading tap is uniform and its amplitude random, so nothing but its variance can be told from the
    other taps. With `likelihood=zero_mean_gaussian` the decoder gives just that, and the code is the channel's
    condition: delay spread, angular spread. A likelihood with a decoded mean and one sigma for all has to carry every
    tap through the code and puts the same noise on the empty taps: with `learned_gaussian` and 64 dimensions the delay
    spreads of all samples lie beyond the true ones (distance 1.00; of independent taps 0.58). A direct path, with
    `dataset.k_factor_db`, has a steady amplitude; it is generated with the right mean power, and fades as the rest.
    """

    name: ClassVar[str] = "channel"
    of: ClassVar[type[Kind]] = Channels
