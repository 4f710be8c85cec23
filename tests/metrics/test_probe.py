import pytest
import torch

from vaelab.metrics.probe import quantities_r2

chance = torch.Generator().manual_seed(0)
CODES = torch.randn(1200, 2, generator=chance)
OTHER = torch.randn(1200, generator=chance)
KNOWN = {
    "along": 3 * CODES[:, 0] - 7,
    "round": CODES.square().sum(1),  # a line cannot tell it
    "half": CODES[:, 1] + OTHER,
    "none": OTHER,
}


def told(names=KNOWN):
    parts = [{name: KNOWN[name][rows] for name in names} for rows in (slice(800), slice(800, None))]
    return quantities_r2(CODES[:800], parts[0], CODES[800:], parts[1])


def test_a_quantity_in_the_code_is_told_whatever_its_unit_and_one_that_is_not_in_it_is_not():
    found = told()
    assert found["r2_along"] > 0.97 and found["r2_round"] > 0.85
    assert found["r2_half"] == pytest.approx(0.5, abs=0.12)  # its noise is half of its variance
    assert found["r2_none"] < 0.05


def test_each_quantity_is_told_by_itself():
    assert told(["half"])["r2_half"] == told()["r2_half"]


def test_what_never_varies_is_left_out():
    constant = {"one": torch.ones(400)}
    assert quantities_r2(CODES[:800], {"one": torch.ones(800)}, CODES[800:], constant) == {}
