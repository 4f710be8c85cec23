"""What every source does.

A dataset of your own, and its entry of the group, whose `batch_size`, `split`, `flip`, `keep` and `codec` are not the
class's own settings. Without a seed of its own it is the same every time, as it must be::

    # mydata.py
    from dataclasses import dataclass

    import torch

    from vaelab.data.items import Items


    @dataclass
    class Ramps:
        ramps: int = 500
        samples: int = 64
        seed: int = 0

        def load(self):
            slope = torch.rand(self.ramps, generator=torch.Generator().manual_seed(self.seed))
            raw = slope[:, None, None] * torch.linspace(0, 1, self.samples)
            return Items("signal", raw, factors={"slope": slope}, facts={"ramp": 1.0})

    # mine/dataset/ramps.yaml
    _target_: mydata.Ramps
    ramps: 500
    samples: 64
    seed: ${seed}
    batch_size: 64
    split: [0.8, 0.1, 0.1]
    codec:
      _target_: vaelab.codec.signal.SignalCodec

`raw` is `(items, channels, time)` float32, or of pictures `(items, channels, height, width)` uint8; `data.items.Items`
says what else may be known of items. The codec is `codec.signal.SignalCodec`, `codec.picture.PictureCodec`,
`codec.spectrogram.SpectrogramCodec`, … or one of your own. Train with `variant=vae` (or `gan`, …), which takes any
kind: `python scripts/train.py --config-dir mine dataset=ramps variant=vae latent=gaussian`.
"""

from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from vaelab.data.items import Items, Signature


@runtime_checkable
class Source(Protocol):
    """A simulator or a reader of files, with its settings as plain fields; making one touches no disk."""

    def load(self) -> Items:
        """All items, in memory. Raises `UserError` where nothing usable is found."""
        ...


@runtime_checkable
class Reader(Source, Protocol):
    """A source that also reads a single file of the user's own for a model that is already trained."""

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Raw items `(items, *raw_shape)` of one file, made to the model's shape and sample rate.

        Raises `UserError` where the file is missing or cannot be read.
        """
        ...
