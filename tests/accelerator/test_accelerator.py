"""Faster, and the same."""

import pytest
import torch

from vaelab.accelerator.base import Acceleration
from vaelab.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture
def float32_products():
    """What other tests compute with is put back."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


def test_a_compiled_net_computes_the_same_and_is_plain_again_behind_it(tiny):
    variant = tiny("digits").variant
    x, compiled = torch.rand(3, 1, 8, 8), []

    def count(graph, inputs):
        compiled.append(len(inputs))
        return graph

    with torch.no_grad():
        expected = variant.posterior(x).mean
        with Acceleration(compile=count).of(variant, CPU):
            assert torch.equal(variant.posterior(x).mean, expected)
            variant.params(expected)
            assert set(variant.state_dict()) == set(tiny("digits").variant.state_dict())
        assert len(compiled) == 2
        variant.posterior(torch.rand(5, 1, 8, 8))
    assert len(compiled) == 2


def test_an_error_within_leaves_the_net_plain(tiny):
    variant = tiny("digits").variant
    with pytest.raises(ZeroDivisionError), Acceleration(compile="eager").of(variant, CPU):
        1 / 0  # noqa: B018
    assert variant.encoder._compiled_call_impl is None


def test_a_backend_that_does_not_work_is_told_in_one_line():
    Acceleration().check(CPU)
    Acceleration(compile="eager").check(CPU)
    with pytest.raises(UserError, match=r"accelerator\.compile=inducter does not work here: .*; leave it null$"):
        Acceleration(compile="inducter").check(CPU)


@pytest.mark.parametrize(("tf32", "expected"), [(True, "high"), (False, "highest")])
def test_products_are_rounded_on_a_gpu_alone(tiny, float32_products, tf32, expected):
    variant = tiny("digits").variant
    torch.set_float32_matmul_precision("medium")
    with Acceleration(tf32=tf32).of(variant, CPU):
        assert torch.get_float32_matmul_precision() == "medium"
    with Acceleration(tf32=tf32).of(variant, torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == expected
        assert torch.backends.cudnn.allow_tf32 is tf32
