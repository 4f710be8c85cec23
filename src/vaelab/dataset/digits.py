"""Handwritten digits of 8×8 pixels that come with scikit-learn: real pictures, no file needed."""

from dataclasses import dataclass

import torch

from vaelab.data.items import Items


@dataclass
class Digits:
    """The 1,797 digits of scikit-learn, their 17 shades of grey spread over 0 to 255."""

    def load(self) -> Items:
        """Pictures `(1797, 1, 8, 8)` uint8, bright on dark, labelled by digit."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        raw = (torch.from_numpy(digits.images) * (255 / 16)).round().to(torch.uint8)
        names = tuple(str(name) for name in digits.target_names)
        return Items("picture", raw[:, None], label=torch.from_numpy(digits.target).long(), label_names=names)
