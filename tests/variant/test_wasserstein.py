"""What both Wasserstein GANs have in common."""

import pytest
import torch
from torch import nn

from vaelab.accelerator.base import Acceleration
from vaelab.architecture.convolutional import Conv1d
from vaelab.architecture.lstm import LSTM
from vaelab.architecture.mlp import MLP
from vaelab.errors import UserError

METHODS = ["wgan_gp", "wgan_div"]


class Bowl(nn.Module):
    """½ ‖x‖² of an item, whose gradient is the item."""

    def forward(self, x):
        return 0.5 * x.flatten(1).square().sum(1, keepdim=True)


@pytest.mark.parametrize("method", METHODS)
def test_slopes_are_the_norms_of_each_items_own_gradient(tiny, method):
    variant = tiny("digits", f"variant={method}").variant
    variant.critic = Bowl()
    x = torch.randn(5, 1, 8, 8)
    assert torch.allclose(variant.slopes(x), x.flatten(1).norm(dim=1))


@pytest.mark.parametrize("method", METHODS)
def test_an_item_where_the_critic_is_flat_gives_its_weights_a_gradient_that_is_a_number(tiny, method):
    variant = tiny("digits", f"variant={method}").variant
    for weights in variant.critic.parameters():
        nn.init.zeros_(weights)
    variant.critic_terms(torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8))["critic_loss"].backward()
    assert all(weights.grad.isfinite().all() for weights in variant.critic.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_the_penalty_teaches_the_critic_through_its_gradients(tiny, method):
    variant = tiny("digits", f"variant={method}").variant
    variant.critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 1, bias=False))
    weight = variant.critic[1].weight
    with torch.no_grad():
        weight.mul_(3 / weight.norm())
    variant.penalty_of(torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)).backward()
    # It is the steeper, the more it costs: down the gradient the slope falls.
    assert (weight.grad * weight).sum() > 0


@pytest.mark.parametrize("method", METHODS)
def test_what_is_made_gets_no_gradient_from_the_penalty(tiny, method):
    variant = tiny("digits", f"variant={method}").variant
    made = torch.rand(4, 1, 8, 8, requires_grad=True)
    variant.penalty_of(torch.rand(4, 1, 8, 8), made).backward()
    assert made.grad is None


@pytest.mark.parametrize("method", METHODS)
def test_the_penalty_is_as_exact_in_mixed_precision(tiny, method):
    variant = tiny("digits", f"variant={method}").variant
    x = torch.rand(4, 1, 8, 8)
    exact = variant.slopes(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(variant.slopes(x), exact)
        rounded = variant.judged(x)
    assert not torch.equal(rounded, variant.judged(x))


@pytest.mark.parametrize("architecture", [MLP([4]), Conv1d([4]), LSTM(4)], ids=lambda made: type(made).__name__)
@pytest.mark.parametrize("method", METHODS)
def test_every_kind_of_net_can_be_differentiated_twice(tiny, method, architecture):
    variant = tiny("sine", f"variant={method}", "likelihood=gaussian").variant
    variant.critic = architecture.encoder(variant.shape, 1, 1)
    x = torch.randn(3, *variant.shape)
    variant.penalty_of(x, x + 1).backward()
    gradients = [weights.grad for weights in variant.critic.parameters() if weights.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.SyncBatchNorm])
def test_a_critic_that_mixes_the_items_of_a_batch_is_refused_in_one_line(tiny, monkeypatch, method, norm):
    encoder = MLP.encoder
    monkeypatch.setattr(MLP, "encoder", lambda self, shape, *size: nn.Sequential(norm(1), encoder(self, shape, *size)))
    with pytest.raises(UserError, match=rf"^variant={method} penalises[^\n]+{norm.__name__} in[^\n]+mixes[^\n]+$"):
        tiny("digits", f"variant={method}")
    # Others may have it.
    tiny("digits", "variant=gan")


@pytest.mark.parametrize("method", METHODS)
def test_no_architecture_of_ours_has_a_norm_that_mixes_items(tiny, method):
    for architecture in ("mlp", "conv2d", "resnet2d"):
        tiny("digits", f"variant={method}", f"architecture={architecture}", "architecture.widths=[4]")


@pytest.mark.parametrize("method", METHODS)
def test_a_compiled_run_leaves_the_critic_as_it_is(tiny, trainer_of, method):
    run = tiny("digits", f"variant={method}", "variant.critic_steps=1", "dataset.batch_size=100")
    variant = run.variant.train()
    compiled = []

    def count(graph, inputs):
        compiled.append(graph)
        return graph

    with Acceleration(compile=count).of(variant, torch.device("cpu")):
        trainer_of(max_steps=4, max_epochs=-1, limit_val_batches=0).fit(variant, datamodule=run.data())
        assert variant.critic._compiled_call_impl is None
    assert compiled


@pytest.mark.parametrize("method", METHODS)
def test_the_distance_that_is_logged_is_the_difference_of_the_critics_means(tiny, method):
    variant = tiny("digits", f"variant={method}").variant
    true, made = torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)
    told = variant.critic_terms(true, made)["distance"]
    assert torch.allclose(told, variant.critic(true).mean() - variant.critic(made).mean())
