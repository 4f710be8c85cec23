import pytest
import torch
from torch import nn


def test_the_penalty_is_of_each_items_own_gradient(tiny):
    variant = tiny("digits", "variant=wgan_gp").variant

    class Slopes(nn.Module):
        """Items that begin below zero have a slope of 3, others of 1."""

        def forward(self, x):
            x = x.flatten(1)
            return x[:, :1] * torch.where(x[:, 1:2] < 0, 3.0, 1.0)

    variant.critic = Slopes()
    x = torch.ones(4, 1, 8, 8)
    x[:2] = -1
    assert variant.gradient_penalty(x, x).item() == pytest.approx((2 * 2**2 + 2 * 0) / 4)
    made, true = x.flip(1), x
    expected = variant.critic(made).mean() - variant.critic(true).mean() + 10 * variant.gradient_penalty(true, made)
    torch.manual_seed(0)
    assert torch.allclose(variant.critic_terms(true, made)["critic_loss"], expected)
    assert torch.allclose(variant.generator_loss(made), -variant.critic(made).mean())


def test_penalised_points_lie_between_a_true_and_a_made_item(tiny):
    variant = tiny("digits", "variant=wgan_gp").variant
    seen = []
    variant.critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    variant.critic.register_forward_pre_hook(lambda net, given: seen.append(given[0].detach()))
    variant.gradient_penalty(torch.zeros(500, 1, 8, 8), torch.ones(500, 1, 8, 8))
    share = seen[0].flatten(1)
    assert (share.std(1) < 1e-6).all()
    assert share.min() > 0 and share.max() < 1 and abs(share.mean() - 0.5) < 0.05
