import torch

from vaelab.dataset.digits import Digits


def test_digits_span_all_greys_and_carry_their_labels():
    items = Digits().load()
    assert items.raw.shape == (1797, 1, 8, 8) and items.raw.dtype == torch.uint8
    assert items.raw.min() == 0 and items.raw.max() == 255
    assert items.label_names == tuple("0123456789") and items.label.bincount().min() > 150
