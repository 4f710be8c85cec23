import pytest
import torch

from vaelab.architecture.base import BeginsLinear
from vaelab.architecture.pca_resnet import PCAResNet, _Filled
from vaelab.errors import UserError
from vaelab.linear import fit_linear_code

SHAPES = [(1, 50), (3, 12, 10), (1, 33, 18)]


def items(shape, n=400, seed=0):
    x = torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))
    return x.cumsum(-1) / 5 + 0.5


def pair(shape, size=6, heads=2, **settings):
    net = PCAResNet(width=8, blocks=1, **settings)
    return net.encoder(shape, heads, size), net.decoder(shape, size)


def begun(shape, size=6, heads=2):
    encoder, decoder = pair(shape, size, heads)
    code = fit_linear_code(lambda: [items(shape)], size)
    for net in (encoder, decoder):
        assert isinstance(net, BeginsLinear) and net.size == size
        net.begin(code)
    return encoder, decoder, code


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_before_the_first_step_it_is_the_linear_code_whitened(shape):
    encoder, decoder, code = begun(shape)
    x = items(shape)
    mean, log_variance = encoder(x).chunk(2, dim=1)
    assert torch.allclose(decoder(mean), code.restore(code.project(x)), atol=1e-3)
    assert mean.mean(0).abs().max() < 0.01 and torch.allclose(mean.var(0), torch.ones(6), atol=0.01)
    # What is left along a direction, of what there is: sure of the first, less so of the last.
    assert torch.allclose(log_variance[0].exp(), code.rest / (code.rest + code.variances), atol=1e-5)
    assert (log_variance == log_variance[:1]).all() and log_variance[0, -1] > log_variance[0, 0]


@torch.no_grad()
def test_directions_in_which_nothing_varies_are_not_amplified():
    shape, x = (1, 16), items((1, 16))
    x[:, :, 4:] = 0.5  # four numbers vary, and six are asked for
    encoder, decoder = pair(shape)
    code = fit_linear_code(lambda: [x], 6)
    encoder.begin(code)
    decoder.begin(code)
    new = items(shape, seed=1)
    mean, log_variance = encoder(new).chunk(2, dim=1)
    assert mean.abs().max() < 20 and (mean[:, 4:] == 0).all() and (log_variance[:, 4:] == 0).all()


def test_training_changes_both_nets_and_leaves_the_directions():
    # Discs: what is missing of an edge is told by its neighbourhood.
    place, across = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
    where = 3 + 6 * torch.rand(300, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    x = torch.sigmoid(4 * (3 - torch.hypot(place - where[:, 0], across - where[:, 1])))[:, None]
    torch.manual_seed(0)
    encoder, decoder = pair((1, 12, 12))
    code = fit_linear_code(lambda: [x], 6)
    encoder.begin(code)
    decoder.begin(code)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
    losses = []
    for _ in range(100):
        loss = (decoder(encoder(x)[:, :6]) - x).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]
    after = encoder.state_dict()
    assert torch.equal(after["weight"], before["weight"]) and torch.equal(after["mean"], before["mean"])
    assert not torch.equal(after["refine.0.1.weight"], before["refine.0.1.weight"])


@torch.no_grad()
def test_patches_overlap():
    first, last, cut = (PCAResNet(width=8, blocks=0, patch=4).decoder((1, 16, 16), 3).refine[k] for k in (0, -2, -1))
    last.weight.normal_()
    x = torch.randn(1, 1, 16, 16)
    y = x.clone()
    y[0, 0, 8, 8] += 1
    changed = (cut(last(first(x))) != cut(last(first(y))))[0, 0]
    assert changed[2:14, 2:14].all() and not changed[:2].any() and not changed[14:].any()


@pytest.mark.parametrize(
    ("sides", "given", "patch"),
    [
        ((64, 64), None, (4, 4)),
        ((8, 8), None, (1, 1)),
        ((48, 128), None, (5, 5)),
        ((256, 63), None, (8, 8)),
        ((500,), None, (4,)),
        ((20,), None, (1,)),
        ((64, 64), 8, (8, 8)),
        ((257, 63), [16, 4], (16, 4)),
    ],
)
def test_patches_leave_enough_positions_to_refine_unless_they_are_given(sides, given, patch):
    net = PCAResNet(width=8, patch=given).decoder((1, *sides), 4)
    assert [part.patch for part in net.modules() if isinstance(part, _Filled)] == [patch]


@pytest.mark.parametrize("setting", [{"width": 0}, {"blocks": -1}, {"patch": 0}, {"patch": []}, {"patch": [2, 0]}])
def test_settings_that_make_no_net_are_refused(setting):
    with pytest.raises(UserError, match=rf"^architecture.{next(iter(setting))} must [^\n]+$"):
        PCAResNet(**setting)


def test_patches_that_do_not_fit_the_axes_are_refused():
    with pytest.raises(UserError, match=r"^[^\n]+shape \(1, 30\) in patches of 2 axes: use architecture=pca_resnet$"):
        PCAResNet(patch=[2, 2]).decoder((1, 30), 4)


def test_with_three_heads_two_are_projections():
    encoder = PCAResNet(width=8).encoder((1, 50), 3, 2)
    assert encoder.size == 4
    assert encoder(items((1, 50), 3)).shape == (3, 6)
