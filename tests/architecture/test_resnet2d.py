import pytest
import torch
from torch import nn

from vaelab.architecture.resnet2d import ResNet2d


@pytest.mark.parametrize(
    ("shape", "code"), [((3, 64, 64), 128 * 4 * 4), ((1, 48, 80), 128 * 3 * 5), ((1, 2, 9), 24 * 1 * 4)]
)
def test_the_code_is_as_many_halvings_of_the_sides_as_they_allow(shape, code):
    assert ResNet2d().own_code(shape) == code


def test_the_architectures_own_code_is_laid_out_head_by_head():
    architecture = ResNet2d((8, 16))
    encoder = architecture.encoder((1, 12, 8), 2, None)
    last = encoder[-2]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.arange(2.0).repeat_interleave(16))
    mean, log_variance = encoder(torch.randn(2, 1, 12, 8)).chunk(2, dim=1)
    assert mean.shape == (2, 16 * 3 * 2) and (mean == 0).all() and (log_variance == 1).all()


def test_more_blocks_mean_more_convolutions_at_each_size():
    def convolutions(net):
        return sum(isinstance(module, nn.Conv2d) for module in net.modules())

    once, thrice = (ResNet2d((8, 16), blocks).encoder((1, 8, 8), 1, 4) for blocks in (1, 3))
    assert convolutions(thrice) - convolutions(once) == 2 * 2 * 2


@pytest.mark.parametrize("size", [(40, 12), (12, 40)])
def test_a_picture_is_not_turned_on_its_side(size):
    torch.manual_seed(0)
    decoder = ResNet2d((8, 16)).decoder((1, *size), None)
    # Norms carry a little of every change everywhere: without them what is local is seen to be.
    for module in decoder.modules():
        if isinstance(module, nn.GroupNorm):
            module.forward = lambda h: h
    code = torch.randn(1, 16, size[0] // 4, size[1] // 4)
    spot = code.clone()
    spot[..., 0, -1] += 5.0
    moved = (decoder(spot.flatten(1)) - decoder(code.flatten(1))).abs()[0, 0]
    assert moved[:4, -4:].max() > 0 and moved[20:].sum() == 0 and moved[:, :-20].sum() == 0


def test_a_decoder_has_nothing_but_the_code_to_go_by():
    torch.manual_seed(0)
    architecture = ResNet2d((8, 16))
    encoder, decoder = architecture.encoder((1, 8, 8), 1, 4), architecture.decoder((1, 8, 8), 4)
    seen = []
    for x in torch.randn(2, 1, 1, 8, 8):
        encoder(x)
        seen.append(decoder(torch.zeros(1, 4)))
    assert torch.equal(*seen)
