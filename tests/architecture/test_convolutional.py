import pytest
import torch

from vaelab.architecture.convolutional import Conv1d, Conv2d


def test_500_samples_end_in_the_published_denoisers_code_of_16_by_31():
    assert Conv1d().own_code((1, 500)) == 16 * 31 == 496
    assert Conv1d().encoder((1, 500), 1, None)(torch.zeros(1, 1, 500)).shape == (1, 496)


@pytest.mark.parametrize(
    ("shape", "code"), [((1, 28, 28), 128 * 3 * 3), ((3, 48, 80), 128 * 6 * 10), ((1, 5, 9), 64 * 1 * 2)]
)
def test_a_pictures_code_is_as_many_halvings_of_its_sides_as_they_allow(shape, code):
    assert Conv2d().own_code(shape) == code


@pytest.mark.parametrize(("architecture", "shape"), [(Conv1d((4, 6)), (1, 12)), (Conv2d((4, 6)), (1, 12, 8))])
def test_the_architectures_own_code_is_laid_out_head_by_head(architecture, shape):
    encoder = architecture.encoder(shape, 3, None)
    last = encoder[-2]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.arange(3.0).repeat_interleave(len(last.bias) // 3))
    for k, head in enumerate(encoder(torch.randn(2, *shape)).chunk(3, dim=1)):
        assert head.shape == (2, architecture.own_code(shape)) and (head == k).all()


@pytest.mark.parametrize("size", [(31, 20), (20, 31)])
def test_a_picture_is_not_turned_on_its_side(size):
    torch.manual_seed(0)
    decoder = Conv2d((8, 8)).decoder((1, *size), None)
    code = torch.zeros(1, 8, size[0] // 4, size[1] // 4)
    spot = code.clone()
    spot[..., 0, -1] = 5.0
    moved = (decoder(spot.flatten(1)) - decoder(code.flatten(1))).abs()[0, 0]
    assert moved[:8, -8:].max() > 0 and moved[12:].max() == 0 and moved[:, :8].max() == 0


@pytest.mark.parametrize("length", [32, 500, 501])
def test_every_sample_of_the_output_can_be_moved_by_the_code(length):
    torch.manual_seed(0)
    architecture = Conv1d(activation="silu")
    decoder = architecture.decoder((1, length), None)
    codes = torch.randn(2, architecture.own_code((1, length)))
    assert (decoder(codes).diff(dim=0) != 0).all()
