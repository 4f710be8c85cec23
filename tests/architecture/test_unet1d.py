import pytest
import torch

from vaelab.architecture.unet1d import UNet1d
from vaelab.errors import UserError

SMALL = UNet1d((8, 16, 16), 5, (1, 2), (8,))
SHAPE = (1, 50)


def nets(shape=SHAPE):
    torch.manual_seed(0)
    return SMALL.encoder(shape, 1, None), SMALL.decoder(shape, None)


def map_of(code, k):
    """`(batch, channels, time)`: a view of one map in the code of 400 samples."""
    start, channels, length = [(0, 8, 400), (8 * 400, 16, 200), (8 * 400 + 16 * 200, 16, 100)][k]
    return code[:, start : start + channels * length].view(-1, channels, length)


def test_the_code_is_one_feature_map_a_scale():
    assert SMALL.own_code(SHAPE) == 8 * 50 + 16 * 25 + 16 * 12
    assert UNet1d((4, 4, 4, 4)).own_code((1, 3)) == 4 * 3 + 4 * 1


def test_changing_any_number_of_the_code_changes_the_output():
    _, decoder = nets()
    code = torch.randn(1, SMALL.own_code(SHAPE), requires_grad=True)
    (decoder(code) * torch.randn(1, *SHAPE)).sum().backward()
    assert (code.grad != 0).all()


def test_the_encoder_fills_every_number_of_the_code():
    encoder, _ = nets()
    codes = encoder(torch.randn(2, *SHAPE))
    assert (codes[0] != codes[1]).all()


def test_a_zero_code_gives_an_output_that_knows_nothing_of_x():
    encoder, decoder = nets()
    first, second = (decoder(0 * encoder(x)) for x in torch.randn(2, 1, *SHAPE))
    assert torch.equal(first, second)


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_encoder_and_decoder_agree_on_where_a_number_of_the_code_stands_in_time(k, share):
    encoder, decoder = nets((1, 400))
    # Norms carry a little of every change everywhere: without them what is local is seen to be.
    for module in [*encoder.modules(), *decoder.modules()]:
        if isinstance(module, torch.nn.GroupNorm):
            module.forward = lambda h: h
    x = torch.zeros(1, 1, 400)
    x[..., round(share * 399)] = 1.0
    seen = (map_of(encoder(x), k) - map_of(encoder(0 * x), k)).abs().sum((0, 1))
    code = torch.zeros(1, SMALL.own_code((1, 400)))
    spot = code.clone()
    map_of(spot, k)[..., round(share * (len(seen) - 1))] = 1.0
    written = (decoder(spot) - decoder(code)).abs()[0, 0]
    for found in (seen, written):
        centre = (found * torch.arange(len(found))).sum() / found.sum() / (len(found) - 1)
        assert abs(centre - share) < 0.05


def test_the_code_is_laid_out_head_by_head():
    encoder = SMALL.encoder(SHAPE, 2, None)
    with torch.no_grad():
        for out in encoder.out:
            out.weight.zero_()
            out.bias.copy_(torch.arange(2.0).repeat_interleave(len(out.bias) // 2))
    mean, log_variance = encoder(torch.randn(3, *SHAPE)).chunk(2, dim=1)
    assert mean.shape == (3, SMALL.own_code(SHAPE)) and (mean == 0).all() and (log_variance == 1).all()


def test_a_given_code_size_is_refused_in_one_line_with_a_remedy():
    for build in (lambda: SMALL.encoder(SHAPE, 1, 8), lambda: SMALL.decoder(SHAPE, 8)):
        with pytest.raises(UserError, match=r"^architecture=unet1d has a code of its own[^\n]+latent.dim=null[^\n]+$"):
            build()


def test_a_signal_of_one_sample_is_a_signal():
    encoder, decoder = nets((1, 1))
    x = torch.randn(2, 1, 1)
    assert decoder(encoder(x)).shape == x.shape


@pytest.mark.parametrize("extremes", [(), (2,), (8, 32)])
def test_the_powers_of_the_input_are_further_channels(extremes):
    net = UNet1d((8, 8), 5, (1,), extremes).encoder((2, 20), 1, None)
    assert net.stem.in_channels == 2 * (1 + len(extremes))
    assert net(torch.ones(1, 2, 20)).isfinite().all()
