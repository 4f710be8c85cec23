from itertools import product

import pytest
import torch
from entries import load, names
from torch import nn

from vaelab.architecture.base import Architecture
from vaelab.architecture.timed import Clock
from vaelab.config import build
from vaelab.errors import UserError
from vaelab.memory import count_weights

SHAPES = [(2, 37), (1, 2), (3, 9, 14), (1, 2, 7), (1, 8, 48)]


def built(name, **settings):
    return build(load("architecture", name, **settings), Architecture)


class Stranger(Architecture):
    """Knows an encoder and a decoder, and nothing of time."""

    def encoder(self, shape, heads, dim):
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(heads * dim), nn.BatchNorm1d(heads * dim))

    def decoder(self, shape, code_size):
        return nn.Sequential(nn.Linear(code_size, torch.Size(shape).numel()), nn.Unflatten(1, tuple(shape)))


class Owner(Stranger):
    """Has a code of its own, which depends on the channels."""

    def own_code(self, shape):
        return 3 * shape[0]

    def encoder(self, shape, heads, dim):
        return super().encoder(shape, heads, dim or self.own_code(shape))

    def decoder(self, shape, code_size):
        return super().decoder(shape, code_size or self.own_code(shape))


NETS = {name: built(name) for name in names("architecture")} | {"stranger": Stranger(), "owner": Owner()}


def takes(name, shape):
    try:
        NETS[name].field(shape)
    except UserError:
        return False
    return True


CASES = [(name, shape) for name, shape in product(NETS, SHAPES) if takes(name, shape)]


def word(value):
    return str(value).replace(" ", "")


@pytest.mark.parametrize("name", NETS)
def test_every_architecture_has_a_field_of_all_that_it_encodes(name):
    def encodes(shape):
        try:
            return NETS[name].encoder(shape, 1, 5) is not None
        except UserError as error:
            return "has a code of its own" in str(error)

    taken = [shape for shape in SHAPES if takes(name, shape)]
    assert taken == [shape for shape in SHAPES if encodes(shape)] != []


@pytest.mark.parametrize(("name", "shape"), CASES, ids=word)
def test_a_field_gives_x_of_the_same_shape_each_item_by_itself_and_by_its_time(name, shape):
    torch.manual_seed(0)
    field = NETS[name].field(shape)
    x, time = torch.randn(4, *shape), torch.rand(4)
    field(x, time)
    field.eval()
    told = field(x, time)
    assert told.shape == x.shape
    assert torch.allclose(field(x[2:3], time[2:3]), told[2:3], atol=1e-4)
    assert not torch.allclose(field(x, (time + 0.3) % 1)[2], told[2], atol=1e-3)


@pytest.mark.parametrize(("name", "shape"), CASES, ids=word)
def test_after_two_steps_the_gradient_reaches_every_parameter_of_a_field(name, shape):
    torch.manual_seed(0)
    field, x, time = NETS[name].field(shape), torch.randn(8, *shape), torch.rand(8)
    field(x, time)
    optimizer = torch.optim.SGD(field.parameters(), lr=0.001)
    for _ in range(3):
        optimizer.zero_grad()
        (field(x, time) - 2 * x - 1).square().mean().backward()
        optimizer.step()
    unmoved = [key for key, value in field.named_parameters() if value.grad is None or not value.grad.any()]
    assert unmoved == []


@pytest.mark.parametrize("name", sorted({*NETS} - {"stranger", "owner"}))
def test_a_field_is_counted_without_being_made(name):
    shape = next(shape for known, shape in CASES if known == name)
    made = sum(weights.numel() for weights in NETS[name].field(shape).parameters())
    assert count_weights(lambda: NETS[name].field(shape)) == made


def test_the_unbounded_noise_that_a_field_sees_is_not_raised_to_high_powers():
    torch.manual_seed(0)
    field, x = NETS["unet1d"].field((1, 64)), torch.randn(4, 1, 64)
    far = x.clone()
    far[0, 0, 5] = 6.0
    assert (field(far, torch.zeros(4)) - field(x, torch.zeros(4))).abs().max() < 20


def test_times_are_told_apart_wherever_they_lie():
    torch.manual_seed(0)
    told = Clock()(torch.linspace(0, 1, 501))
    assert torch.cdist(told, told).fill_diagonal_(1).min() > 1e-2
