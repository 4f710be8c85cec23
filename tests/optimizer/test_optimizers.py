from itertools import pairwise

import pytest
import torch
from entries import load, names

from vaelab.config import bind
from vaelab.optimizer.adam import adam
from vaelab.optimizer.adamw_cosine import adamw_cosine
from vaelab.optimizer.base import MakeOptimizer


def parameter():
    return torch.nn.Parameter(torch.tensor([2.0]))


def rates(total, steps, **settings):
    found = adamw_cosine([parameter()], total, **settings)
    rates = []
    for _ in range(steps):
        rates.append(found.optimizer.param_groups[0]["lr"])
        found.optimizer.step()
        found.schedule.step()
    return rates


def test_the_cosine_warms_up_in_equal_steps_to_lr_and_falls_to_its_final_share():
    found = rates(110, 130, lr=0.1, warmup_steps=10, final=0.02)
    assert found[:10] == pytest.approx([0.01 * (k + 1) for k in range(10)])
    assert found[10] == pytest.approx(0.1) and found[60] == pytest.approx((0.1 + 0.002) / 2)
    assert found[110:] == pytest.approx([0.002] * 20)
    assert all(a >= b for a, b in pairwise(found[10:]))


@pytest.mark.parametrize("total", [1, 5, 10])
def test_a_run_shorter_than_its_warm_up_has_a_positive_rate_no_higher_than_lr(total):
    assert all(0 < rate <= 0.1 for rate in rates(total, total, lr=0.1, warmup_steps=10))


def test_without_a_warm_up_it_begins_at_lr():
    assert rates(10, 1, lr=0.1, warmup_steps=0) == [0.1]


@pytest.mark.parametrize("name", names("optimizer"))
@pytest.mark.parametrize("total", [1, 30, 1000])
def test_every_optimizer_descends_at_a_positive_rate_no_higher_than_lr(name, total):
    weight = parameter()
    found = bind(load("optimizer", name, lr=0.01), MakeOptimizer)([weight], total)
    for _ in range(total):
        assert 0 < found.optimizer.param_groups[0]["lr"] <= 0.01
        found.optimizer.zero_grad()
        weight.square().sum().backward()
        found.optimizer.step()
        if found.schedule is not None:
            found.schedule.step()
    assert abs(weight.item()) < (0.01 if total == 1000 else 2.0)


def test_adam_has_a_constant_rate_and_descends():
    weight = parameter()
    found = adam([weight], 100, lr=0.1, betas=[0.9, 0.99])
    assert found.schedule is None and found.optimizer.param_groups[0]["betas"] == (0.9, 0.99)
    for _ in range(200):
        found.optimizer.zero_grad()
        weight.square().sum().backward()
        found.optimizer.step()
    assert abs(weight.item()) < 0.1 and found.optimizer.param_groups[0]["lr"] == 0.1


def test_weight_decay_pulls_towards_zero_without_a_gradient():
    weight = parameter()
    found = adamw_cosine([weight], 100, lr=0.1, weight_decay=0.5, warmup_steps=0)
    weight.grad = torch.zeros(1)
    found.optimizer.step()
    assert weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5))
