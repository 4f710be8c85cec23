import pytest
import torch
from torch import nn

from vaelab.architecture.mlp import MLP


def linear_sizes(net):
    return [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, nn.Linear)]


def test_widths_lead_from_the_data_to_the_code_and_are_mirrored_on_the_way_back():
    architecture = MLP((32, 16))
    assert linear_sizes(architecture.encoder((2, 5), 3, 4)) == [(10, 32), (32, 16), (16, 12)]
    assert linear_sizes(architecture.decoder((2, 5), 4)) == [(4, 16), (16, 32), (32, 10)]


def test_code_and_output_are_not_bent_by_an_activation():
    architecture = MLP((8,))
    assert isinstance(architecture.encoder((1, 4), 1, 2)[-1], nn.Linear)
    assert [type(m) for m in architecture.decoder((1, 4), 2)][-2:] == [nn.Linear, nn.Unflatten]


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1), (2, 7), (3, 4, 5)])
def test_signals_and_pictures_are_taken_alike_down_to_one_number(shape):
    x, architecture = torch.randn(2, *shape), MLP((8,))
    assert architecture.decoder(shape, 3)(architecture.encoder(shape, 1, 3)(x)).shape == x.shape
