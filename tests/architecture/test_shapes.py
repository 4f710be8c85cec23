from itertools import product

import pytest
import torch
from entries import load, names
from torch import nn

from vaelab.architecture.base import Architecture
from vaelab.config import build
from vaelab.errors import UserError

SIGNAL, PICTURE = (2, 37), (3, 9, 14)
# Of whom takes the one, all of the others are asked.
ALL = {
    SIGNAL: [SIGNAL, (1, 2), (1, 3), (2, 5), (1, 37), (3, 64)],
    PICTURE: [PICTURE, (1, 2, 2), (1, 3, 3), (1, 2, 7), (3, 17, 30), (4, 9, 8), (1, 8, 48)],
}
NARROW = {SIGNAL: [(1, 1)], PICTURE: [(1, 1, 1), (3, 1, 1), (1, 1, 40), (1, 40, 1)]}


def built(name, **settings):
    return build(load("architecture", name, **settings), Architecture)


def takes(net, shape, dim):
    try:
        encoder(net, shape, dim)
    except UserError:
        return False
    return True


def encoder(net, shape, dim):
    """Who wants the architecture's own code asks for its size first."""
    if dim is None:
        net.own_code(shape)
    return net.encoder(shape, 1, dim)


NETS = {name: built(name) for name in names("architecture")}
# Name, shape and size of the code, None for the architecture's own.
TAKEN = [case for case in product(NETS, ALL, (5, None)) if takes(NETS[case[0]], *case[1:])]
WRONG = sorted({(name, shape) for name in NETS for shape in ALL} - {(name, shape) for name, shape, _ in TAKEN})
CASES = [(name, shape, dim) for name, like, dim in TAKEN for shape in ALL[like]]
SMALL = [(name, shape, dim) for name, like, dim in TAKEN for shape in NARROW[like]]
UNHALVED = [case for case in SMALL if takes(NETS[case[0]], *case[1:])]


def word(value):
    return str(value).replace(" ", "")


def having(setting):
    return [name for name in NETS if setting in load("architecture", name)]


def taken_by(name):
    return next((shape, dim) for known, shape, dim in TAKEN if known == name)


@pytest.mark.parametrize("name", NETS)
def test_every_architecture_takes_signals_or_pictures(name):
    assert taken_by(name)


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize(("name", "shape"), [(n, s) for n, s, dim in CASES if dim], ids=word)
def test_data_of_any_size_go_to_a_code_of_any_size_and_back(name, shape, heads):
    x, net = torch.randn(2, *shape), NETS[name]
    assert net.encoder(shape, heads, 5)(x).shape == (2, heads * 5)
    assert net.decoder(shape, 7)(torch.randn(2, 7)).shape == x.shape


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize(("name", "shape"), [(n, s) for n, s, dim in CASES if dim is None], ids=word)
def test_data_of_any_size_go_to_the_architectures_own_code_and_back(name, shape, heads):
    x, net = torch.randn(2, *shape), NETS[name]
    own = net.own_code(shape)
    assert net.encoder(shape, heads, None)(x).shape == (2, heads * own)
    assert net.decoder(shape, None)(torch.randn(2, own)).shape == x.shape


@pytest.mark.parametrize(("name", "shape", "dim"), [case for case in CASES if case[1][-1] > 7], ids=word)
def test_every_item_is_coded_and_decoded_by_itself(name, shape, dim):
    torch.manual_seed(0)
    encoder, decoder = NETS[name].encoder(shape, 1, dim), NETS[name].decoder(shape, dim)
    x = torch.rand(4, *shape)
    code = encoder(x)
    assert torch.allclose(encoder(x[2:3]), code[2:3], atol=1e-5)
    assert torch.allclose(decoder(code[2:3]), decoder(code)[2:3], atol=1e-5)
    assert not torch.allclose(code[2], code[3], atol=1e-5)


@pytest.mark.parametrize(("name", "shape", "dim"), TAKEN, ids=word)
def test_after_one_step_the_gradient_reaches_every_parameter(name, shape, dim):
    torch.manual_seed(0)
    made = built(name, **{key: 2 for key in ("layers", "blocks") if name in having(key)})
    net = nn.ModuleList([made.encoder(shape, 1, dim), made.decoder(shape, dim)])
    optimizer, x = torch.optim.SGD(net.parameters(), lr=0.001), torch.randn(8, *shape)
    # Residual blocks begin as the identity: only the second step moves all of them.
    for _ in range(2):
        optimizer.zero_grad()
        (net[1](net[0](x)) - x).square().sum(tuple(range(1, x.ndim))).mean().backward()
        optimizer.step()
    unmoved = [key for key, value in net.named_parameters() if value.grad is None or not value.grad.any()]
    assert unmoved == []


def asked(name, shape, dim):
    net = NETS[name]
    own = [] if dim else [lambda: net.own_code(shape)]
    return [lambda: net.encoder(shape, 1, dim), lambda: net.decoder(shape, dim), *own]


def remedy(build, words):
    """The architecture that a refusal of one line points to."""
    with pytest.raises(UserError, match=rf"^architecture=\w+ {words} [^\n]*: use architecture=\w+$") as told:
        build()
    return str(told.value).rpartition("=")[2]


@pytest.mark.parametrize(("name", "shape"), WRONG, ids=word)
def test_data_of_the_wrong_rank_are_refused_in_one_line_with_a_remedy(name, shape):
    for build_it in asked(name, shape, taken_by(name)[1]):
        found = remedy(build_it, rf"cannot take data of shape \({shape[0]},")
        assert takes(NETS[found], shape, 5)


@pytest.mark.parametrize(("name", "shape", "dim"), sorted({*SMALL} - {*UNHALVED}, key=str), ids=word)
def test_data_too_small_to_halve_are_refused_in_one_line_with_a_remedy(name, shape, dim):
    for build_it in asked(name, shape, dim):
        found = remedy(build_it, "cannot halve data")
        assert takes(NETS[found], shape, 5)


@pytest.mark.parametrize(("name", "shape", "dim"), UNHALVED, ids=word)
def test_data_of_one_sample_or_pixel_pass_where_nothing_must_be_halved(name, shape, dim):
    x = torch.randn(2, *shape)
    code = NETS[name].encoder(shape, 1, dim)(x)
    assert NETS[name].decoder(shape, dim)(code).shape == x.shape


@pytest.mark.parametrize("name", having("widths"))
@pytest.mark.parametrize("widths", [[], [16, 0]], ids=word)
def test_a_net_without_layers_is_refused_in_one_line(name, widths):
    with pytest.raises(UserError, match=r"^architecture.widths must name at least one layer, such as [^\n]+$"):
        built(name, widths=widths)


@pytest.mark.parametrize("name", having("kernel_size"))
@pytest.mark.parametrize("kernel_size", [4, 0, -3])
def test_a_kernel_without_a_middle_is_refused_in_one_line(name, kernel_size):
    with pytest.raises(UserError, match=r"^architecture.kernel_size must be odd and positive[^\n]+$"):
        built(name, kernel_size=kernel_size)


@pytest.mark.parametrize("name", having("activation"))
def test_an_unknown_activation_is_refused_naming_those_there_are(name):
    shape, dim = taken_by(name)
    with pytest.raises(UserError, match=r"^there is no activation 'rellu': use one of relu, leaky_relu, [^\n]+$"):
        built(name, activation="rellu").encoder(shape, 1, dim)


@pytest.mark.parametrize("name", sorted({*NETS} - {name for name, _, dim in TAKEN if dim is None}))
def test_an_architecture_without_a_code_of_its_own_asks_for_latent_dim(name):
    with pytest.raises(UserError, match=r"^architecture=\w+ needs latent.dim=NUMBER[^\n]+$"):
        NETS[name].own_code(taken_by(name)[0])
