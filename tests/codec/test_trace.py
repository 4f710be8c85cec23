import pytest
import torch

from vaelab.codec.trace import TraceCodec
from vaelab.errors import UserError


def traces():
    return torch.tensor([[[1.0, -4.0, 2.0]], [[0.5, 0.25, 0.0]], [[0.0, 0.0, 0.0]]])


def test_each_trace_is_taken_over_its_own_largest_value_of_either_sign():
    x, level = TraceCodec().encode(traces())
    assert level.tolist() == [4, 0.5, 0] and x.tolist() == [[[0.25, -1, 0.5]], [[1, 0.5, 0]], [[0, 0, 0]]]
    assert TraceCodec().decode(x, level).equal(traces())


def test_the_clean_partner_is_taken_over_the_noisy_ones_level():
    codec = TraceCodec()
    level = codec.encode(traces()).level
    x, same = codec.encode(traces() / 2, level=level)
    assert same.equal(level) and x[0].tolist() == [[0.125, -0.5, 0.25]]
    assert codec.decode(x, level).equal(traces() / 2)


def test_a_sample_leaves_at_the_median_level_of_training():
    codec = TraceCodec()
    codec.fit(traces())
    assert codec.typical_level == 0.5
    assert codec.decode(torch.ones(2, 1, 3)).tolist() == [[[0.5] * 3]] * 2


def test_traces_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="first item 1"):
        TraceCodec().encode(torch.tensor([[[1.0]], [[torch.inf]]]))
