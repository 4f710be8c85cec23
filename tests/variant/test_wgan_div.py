import pytest
import torch
from torch import nn


class Bowl(nn.Module):
    """½ ‖x‖² of an item, whose gradient is the item."""

    def forward(self, x):
        return 0.5 * x.flatten(1).square().sum(1, keepdim=True)


def constant(*norms):
    """Items of 64 equal numbers with these norms."""
    return torch.tensor(norms).view(-1, 1, 1, 1).expand(-1, 1, 8, 8) / 8


def test_it_has_the_papers_weight_and_power(tiny):
    variant = tiny("digits", "variant=wgan_div").variant
    assert (variant.k, variant.p) == (2, 6)


@pytest.mark.parametrize(("k", "p"), [(2, 6), (0.5, 2), (3, 3)])
def test_the_loss_is_that_of_the_divergence_with_gradients_at_true_and_made_items(tiny, k, p):
    variant = tiny("digits", "variant=wgan_div", f"variant.k={k}", f"variant.p={p}").variant
    variant.critic = Bowl()
    true, made = constant(1.0, 2.0), constant(0.5, 3.0)
    by_hand = (0.5**2 + 3**2) / 4 - (1 + 2**2) / 4
    by_hand += k / 2 * ((1 + 2**p) / 2 + (0.5**p + 3**p) / 2)
    assert variant.critic_terms(true, made)["critic_loss"].item() == pytest.approx(by_hand, rel=1e-5)
    assert variant.generator_loss(made).item() == pytest.approx(-(0.5**2 + 3**2) / 4)


def test_the_best_straight_critic_is_as_steep_as_the_analysis_says(tiny):
    # Of all critics w · x, −w · m + k |w|^p is least where |w| = (|m| / (k p))^(1 / (p − 1)), m the means' difference.
    variant = tiny("digits", "variant=wgan_div", "variant.k=0.5", "variant.p=3").variant
    variant.critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 1, bias=False))
    true, made = constant(4.0, 2.0), constant(0.0, -1.0)
    optimizer = torch.optim.LBFGS(variant.critic.parameters(), lr=0.5, max_iter=200)

    def closure():
        optimizer.zero_grad()
        loss = variant.critic_terms(true, made)["critic_loss"]
        loss.backward()
        return loss

    optimizer.step(closure)
    assert variant.critic[1].weight.norm().item() == pytest.approx((3.5 / 1.5) ** 0.5, rel=1e-3)
