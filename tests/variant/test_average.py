import pytest
import torch
from torch import nn

from vaelab.errors import UserError
from vaelab.variant.average import averaged_copy, check_ema, move_average


def test_the_average_of_the_first_steps_is_nearly_their_mean_and_of_later_ones_forgets():
    net = nn.Linear(1, 1, bias=False)
    averaged = averaged_copy(net)
    by_hand = 0.0
    for steps in range(1, 400):
        nn.init.constant_(net.weight, float(steps))
        move_average(averaged, net, steps, 0.9)
        kept = min(0.9, (steps - 1) / (steps + 9))
        by_hand = kept * by_hand + (1 - kept) * steps
    assert averaged.weight.item() == pytest.approx(by_hand, rel=1e-5)
    # A mean with weights that fall by a tenth each is nine steps behind.
    assert by_hand == pytest.approx(399 - 9, abs=0.01)


def test_what_a_net_counts_beside_its_weights_is_taken_as_it_is_and_its_weights_are_left_alone():
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
    averaged = averaged_copy(net)
    net(torch.randn(50, 2) + 3)
    before = net[1].weight.clone()
    move_average(averaged, net, 5, 0.5)
    assert torch.equal(averaged[0].running_mean, net[0].running_mean) and averaged[0].num_batches_tracked == 1
    assert torch.equal(net[1].weight, before)
    assert net[1].weight.requires_grad and not averaged[1].weight.requires_grad


@pytest.mark.parametrize("ema", [1.0, -0.1, 2.0])
def test_a_share_that_would_never_move_or_is_none_is_refused(ema):
    with pytest.raises(UserError, match=r"^variant.ema must lie in \[0, 1\), not [^\n]+$"):
        check_ema(ema)
    check_ema(0.0)
