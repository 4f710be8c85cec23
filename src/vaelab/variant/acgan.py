"""The Wasserstein GAN with an auxiliary classifier: items of a class that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.latent.base import Latent
from vaelab.latent.densities import sample_codes
from vaelab.variant.base import Parts
from vaelab.variant.wgan_gp import WGANGP

if TYPE_CHECKING:
    from vaelab.architecture.base import Architecture
    from vaelab.data.batch import Batch
    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule


@dataclass
class ClassedLatent(Latent):
    """Codes of a family with one number more for each class: one for the code's own class, zero for the others.

    The class of a code is drawn by `shares` `(classes,)`, how much of the data each has.
    """

    inner: Latent | None = None
    shares: Callable[[], Tensor] | None = None
    classes: int = 0

    @property
    def family(self) -> Latent:
        """What the code without its class is of."""
        assert self.inner is not None
        return self.inner

    @property
    def has_prior(self) -> bool:  # type: ignore[override]
        """As that of the family."""
        return self.family.has_prior

    @property
    @override
    def dims(self) -> int:
        return self.family.dims + self.classes

    @property
    @override
    def code_size(self) -> int:
        return self.family.code_size + self.classes

    @override
    def prior_sample(self, n: int) -> Tensor:
        assert self.shares is not None
        label = torch.multinomial(self.shares().cpu(), n, replacement=True)
        return self.joined(self.family.prior_sample(n), label)

    def joined(self, code: Tensor, label: Tensor) -> Tensor:
        """Codes of the family `(n, …)` with class numbers `(n,)`: `(n, code_size)`."""
        return torch.cat([code, F.one_hot(label, self.classes).to(code)], dim=1)

    def parted(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Codes `(n, code_size)` as those of the family, and the numbers of their classes `(n,)`."""
        own, classes = code.split([self.family.code_size, self.classes], dim=1)
        return own, classes.argmax(1)

    def project(self, code: Tensor) -> Tensor:
        """Classes stay as they are, since a generator makes something of what lies between two."""
        own, classes = code.split([self.family.code_size, self.classes], dim=1)
        return torch.cat([self.family.project(own), classes], dim=1)


class ACGAN(WGANGP):
    """A WGAN-GP whose critic tells the class of an item, too (Odena et al. 2017; Gulrajani et al. 2017, section 5.4).

    The generator sees the class behind the code, as one number for each class. The critic has its estimate and a logit
    for each class, all of the one net. Beside what a WGAN-GP's minimises it minimises the cross-entropy of the true
    items' classes, and the generator `class_weight` times that of the made items' classes.

    That weight is small: what the generator gains by it are items that are surer of their class than true ones, so that
    of much of it they all become the middle of their class (Gong et al. 2019, section 3). For the same reason the
    critic's classifier sees no made items.

    Made items have classes as often as the training items. Items without a label take part in everything but the
    cross-entropy of true items' classes.
    """

    name: ClassVar[str] = "acgan"
    course: ClassVar[tuple[str, ...]] = (*WGANGP.course, "class_error")
    latent: ClassedLatent
    shares: Tensor

    def __init__(
        self,
        parts: Parts,
        *,
        critic_steps: int = 5,
        ema: float = 0.999,
        penalty: float = 10.0,
        class_weight: float = 0.1,
    ) -> None:
        super().__init__(parts, critic_steps=critic_steps, ema=ema, penalty=penalty)
        if class_weight <= 0:
            raise UserError(f"variant.class_weight must be positive, not {class_weight}: or take variant=wgan_gp")
        self.class_weight = class_weight
        classes = self.latent.classes
        self.register_buffer("shares", torch.full((classes,), 1 / classes))
        self.latent.shares = lambda: self.shares

    @classmethod
    def latent_for(cls, latent: Latent, signature: Signature) -> Latent:
        """With the classes of the data behind its codes. Raises `UserError` where there are not two of them."""
        _check_classes(signature.label_names)
        return ClassedLatent(inner=latent, classes=len(signature.label_names))

    @classmethod
    @override
    def nets(
        cls, architecture: Architecture, shape: Sequence[int], latent: Latent, own_code: bool
    ) -> dict[str, Callable[[], nn.Module]]:
        assert isinstance(latent, ClassedLatent)
        return {
            "generator": partial(architecture.decoder, shape, latent.code_size),
            "critic": partial(architecture.encoder, shape, 1, 1 + latent.classes),
        }

    def look_at(self, data: DataModule) -> None:
        """See how often there is each class among the training items."""
        super().look_at(data)
        label = data.stores["train"].label[data.index["train"]]
        counts = label[label >= 0].bincount(minlength=self.latent.classes)
        _check_classes([name for name, count in zip(self.signature.label_names, counts, strict=True) if count])
        self.shares.copy_(counts / counts.sum())

    # Steps --------------------------------------------------------------------------------------------------------

    @override
    def critic_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        terms = self.critic_terms(batch.target, self.generated(self.new_codes(batch)))
        error = class_error(self.classed(batch.target), batch.label)
        return terms["critic_loss"] + error, terms | {"class_error": error}

    @override
    def generator_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        codes = self.new_codes(batch)
        made = self.generated(codes)
        error = class_error(self.classed(made), self.latent.parted(codes)[1])
        loss = self.generator_loss(made) + self.class_weight * error
        return loss, {"generator_loss": loss}

    @override
    def judged(self, x: Tensor) -> Tensor:
        return super().judged(x)[:, :1]

    def classed(self, x: Tensor) -> Tensor:
        """The critic's logits of each class, of items `(batch, *shape)`: `(batch, classes)`."""
        return super().judged(x)[:, 1:]

    # Samples ------------------------------------------------------------------------------------------------------

    def labels(self) -> Tensor:
        """`(k,)` numbers of the classes that it was trained on."""
        return self.shares.nonzero().flatten().cpu()

    def sample_of(self, label: Tensor, seed: int) -> Tensor:
        """A new item of each class number `(n,)`, encoded, on the CPU: `(n, *shape)`; the same for the same seed."""
        codes = sample_codes("prior", len(label), latent=self.latent.family, codes=None, seed=seed)
        return self.made(self.latent.joined(codes, label), seed)


def class_error(logits: Tensor, label: Tensor) -> Tensor:
    """The mean cross-entropy in nats of class numbers `(batch,)` by logits `(batch, classes)`, of the items with one.

    Of −1 nothing is known; without any label it is zero.
    """
    return F.cross_entropy(logits, label, ignore_index=-1, reduction="sum") / (label >= 0).sum().clamp(min=1)


def _check_classes(names: Sequence[str]) -> None:
    """Raise `UserError` where there are not two classes to be told apart."""
    if len(names) < 2:
        found = f"only {names[0]}" if names else "none"
        raise UserError(f"variant=acgan needs items of two classes or more, and there is {found}: use variant=gan")
