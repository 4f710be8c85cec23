import pytest
import torch
from torch import nn

from vaelab.architecture.convolutional import Conv1d, Conv2d
from vaelab.architecture.lstm import LSTM
from vaelab.architecture.mlp import MLP
from vaelab.architecture.resnet2d import ResNet2d
from vaelab.architecture.unet1d import UNet1d
from vaelab.errors import UserError

SIGNALS = [(1, 2), (1, 3), (2, 5), (1, 37), (3, 64)]
PICTURES = [(1, 2, 2), (1, 3, 3), (1, 2, 7), (3, 17, 30), (4, 9, 8), (1, 8, 48)]
FOR_SIGNALS = [MLP((16, 8)), LSTM(8), Conv1d((8, 16, 8, 4))]
FOR_PICTURES = [MLP((16, 8)), Conv2d((8, 16, 8)), ResNet2d((8, 16, 8))]
GIVEN_CODE = [(a, s) for a in FOR_SIGNALS for s in SIGNALS] + [(a, s) for a in FOR_PICTURES for s in PICTURES]
OWN_CODE = [
    *[(a, s) for a in (Conv1d((8, 16, 8, 4)), UNet1d((8, 16, 8))) for s in SIGNALS],
    *[(a, s) for a in (Conv2d((8, 16, 8)), ResNet2d((8, 16, 8))) for s in PICTURES],
]


def name(value):
    return type(value).__name__ if hasattr(value, "own_code") else str(value).replace(" ", "")


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize(("architecture", "shape"), GIVEN_CODE, ids=name)
def test_data_of_any_size_go_to_a_code_of_any_size_and_back(architecture, shape, heads):
    x = torch.randn(2, *shape)
    assert architecture.encoder(shape, heads, 5)(x).shape == (2, heads * 5)
    assert architecture.decoder(shape, 7)(torch.randn(2, 7)).shape == x.shape


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize(("architecture", "shape"), OWN_CODE, ids=name)
def test_data_of_any_size_go_to_the_architectures_own_code_and_back(architecture, shape, heads):
    x, own = torch.randn(2, *shape), architecture.own_code(shape)
    assert architecture.encoder(shape, heads, None)(x).shape == (2, heads * own)
    assert architecture.decoder(shape, None)(torch.randn(2, own)).shape == x.shape


@pytest.mark.parametrize(("architecture", "shape"), [(a, s) for a, s in GIVEN_CODE + OWN_CODE if s[-1] > 7], ids=name)
def test_every_item_is_coded_and_decoded_by_itself(architecture, shape):
    torch.manual_seed(0)
    dim = None if (architecture, shape) in OWN_CODE else 5
    encoder, decoder = architecture.encoder(shape, 1, dim), architecture.decoder(shape, dim)
    x = torch.rand(4, *shape)
    code = encoder(x)
    assert torch.allclose(encoder(x[2:3]), code[2:3], atol=1e-5)
    assert torch.allclose(decoder(code[2:3]), decoder(code)[2:3], atol=1e-5)
    assert not torch.allclose(code[2], code[3], atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        *[(a, (2, 37)) for a in (MLP((16, 8), "silu"), LSTM(8, 2), Conv1d((8, 8), "silu"), UNet1d((8, 16, 16)))],
        *[(a, (3, 9, 14)) for a in (MLP((16,), "tanh"), Conv2d((8, 8), "elu"), ResNet2d((8, 16), 2))],
    ],
    ids=name,
)
def test_after_one_step_the_gradient_reaches_every_parameter(architecture, shape):
    torch.manual_seed(0)
    dim = None if isinstance(architecture, UNet1d) else 5
    net = nn.ModuleList([architecture.encoder(shape, 1, dim), architecture.decoder(shape, dim)])
    optimizer, x = torch.optim.SGD(net.parameters(), lr=0.01), torch.randn(8, *shape)
    # Residual blocks begin as the identity: only the second step moves all of them.
    for _ in range(2):
        optimizer.zero_grad()
        (net[1](net[0](x)) - x).square().sum(tuple(range(1, x.ndim))).mean().backward()
        optimizer.step()
    unmoved = [key for key, value in net.named_parameters() if value.grad is None or not value.grad.any()]
    assert unmoved == []


@pytest.mark.parametrize(
    ("architecture", "shape", "remedy"),
    [
        (Conv1d(), (1, 8, 8), "conv2d"),
        (UNet1d(), (1, 8, 8), "resnet2d"),
        (LSTM(), (1, 8, 8), "conv2d"),
        (Conv2d(), (1, 64), "conv1d"),
        (ResNet2d(), (1, 64), "conv1d"),
    ],
    ids=name,
)
def test_data_of_the_wrong_rank_are_refused_in_one_line_with_a_remedy(architecture, shape, remedy):
    dim = None if isinstance(architecture, UNet1d) else 4
    for build in (lambda: architecture.encoder(shape, 1, dim), lambda: architecture.decoder(shape, dim)):
        with pytest.raises(UserError, match=rf"^architecture=\w+ cannot take data of shape \({shape[0]}, .*") as told:
            build()
        assert str(told.value).endswith(f"use architecture={remedy}") and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        (Conv1d(), (1, 1)),
        *[(a, s) for a in (Conv2d(), ResNet2d()) for s in ((3, 1, 1), (1, 1, 40), (1, 40, 1))],
    ],
    ids=name,
)
@pytest.mark.parametrize("dim", [None, 4])
def test_data_too_small_to_halve_are_refused_in_one_line_with_a_remedy(architecture, shape, dim):
    asked = [lambda: architecture.encoder(shape, 1, dim), lambda: architecture.decoder(shape, dim)]
    for build in [*asked, lambda: architecture.own_code(shape)]:
        with pytest.raises(UserError, match=r"^architecture=\w+ cannot halve data [^\n]+use architecture=mlp$"):
            build()


@pytest.mark.parametrize(
    ("architecture", "shape", "dim"),
    [
        (MLP((8,)), (1, 1), 2),
        (MLP((8,)), (1, 1, 1), 2),
        (LSTM(8), (1, 1), 2),
        (UNet1d(), (1, 1), None),
    ],
    ids=name,
)
def test_data_of_one_sample_or_pixel_pass_where_nothing_must_be_halved(architecture, shape, dim):
    x = torch.randn(2, *shape)
    code = architecture.encoder(shape, 1, dim)(x)
    assert architecture.decoder(shape, dim)(code).shape == x.shape


@pytest.mark.parametrize("family", [MLP, Conv1d, Conv2d, ResNet2d, UNet1d])
@pytest.mark.parametrize("widths", [[], [16, 0]])
def test_a_net_without_layers_is_refused_in_one_line(family, widths):
    with pytest.raises(UserError, match=r"^architecture.widths must name at least one layer, such as [^\n]+$"):
        family(widths=widths)


@pytest.mark.parametrize("family", [Conv1d, UNet1d])
@pytest.mark.parametrize("kernel_size", [4, 0, -3])
def test_a_kernel_without_a_middle_is_refused_in_one_line(family, kernel_size):
    with pytest.raises(UserError, match=r"^architecture.kernel_size must be odd and positive[^\n]+$"):
        family(kernel_size=kernel_size)


@pytest.mark.parametrize("architecture", [MLP(activation="rellu"), Conv1d(activation="rellu")], ids=name)
def test_an_unknown_activation_is_refused_naming_those_there_are(architecture):
    with pytest.raises(UserError, match=r"^there is no activation 'rellu': use one of relu, leaky_relu, [^\n]+$"):
        architecture.encoder((1, 16), 1, 2)


@pytest.mark.parametrize("architecture", [MLP(), LSTM()], ids=name)
def test_an_architecture_without_a_code_of_its_own_asks_for_latent_dim(architecture):
    for build in (lambda: architecture.encoder((1, 16), 1, None), lambda: architecture.decoder((1, 16), None)):
        with pytest.raises(UserError, match=r"^architecture=(mlp|lstm) needs latent.dim=NUMBER[^\n]+$"):
            build()
