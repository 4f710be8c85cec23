"""What makes the same arithmetic faster on the device at hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vaelab.errors import UserError

if TYPE_CHECKING:
    from vaelab.variant.base import Method


@dataclass
class Acceleration:
    """The settings of `accelerator` that are not Lightning's.

    `tf32` lets a GPU round the factors of float32 products to 10 bits of mantissa (the sums stay float32). `compile`
    names a backend of torch.compile for a method's nets, such as inductor.
    """

    tf32: bool = True
    compile: str | None = None

    @contextmanager
    def of(self, variant: Method, device: torch.device) -> Iterator[None]:
        """Train faster in here. What comes after, on another device or in other shapes, is not compiled anew."""
        if device.type == "cuda":
            torch.set_float32_matmul_precision("high" if self.tf32 else "highest")
            torch.backends.cudnn.allow_tf32 = self.tf32
        nets = variant.own_nets() if self.compile else []
        for net in nets:
            net.compile(backend=self.compile)
        try:
            yield
        finally:
            for net in nets:
                net._compiled_call_impl = None

    def check(self, device: torch.device) -> None:
        """Compile next to nothing, so that a missing compiler is told of before the run begins.

        Raises:
            UserError: if the backend does not work on this machine.
        """
        if self.compile is None:
            return
        try:
            torch.compile(torch.neg, backend=self.compile)(torch.zeros(2, device=device))
        except Exception as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
            raise UserError(
                f"accelerator.compile={self.compile} does not work here: {reason}; leave it null"
            ) from error
