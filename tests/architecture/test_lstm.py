import torch

from vaelab.architecture.lstm import LSTM


def sensitivity(net, x):
    """How much the sum of a net's output moves with each number of its input."""
    x = x.clone().requires_grad_()
    net(x).square().sum().backward()
    return x.grad.abs()


def test_the_code_depends_on_every_sample_from_the_first_to_the_last():
    torch.manual_seed(0)
    moved = sensitivity(LSTM(16).encoder((2, 40), 1, 3), torch.randn(1, 2, 40))
    assert (moved > 0).all()
    assert moved[0, :, 0].max() > 1e-4 and moved[0, :, -1].max() > 1e-4


def test_every_sample_of_the_output_depends_on_the_code():
    torch.manual_seed(0)
    decoder = LSTM(16).decoder((2, 40), 3)
    first, second = decoder(torch.zeros(1, 3)), decoder(torch.ones(1, 3))
    assert ((first - second).abs() > 0).all()


def test_the_time_axis_is_the_last_one():
    torch.manual_seed(0)
    encoder = LSTM(16).encoder((2, 40), 1, 3)
    x = torch.randn(1, 2, 40)
    states, _ = encoder.lstm(x.transpose(1, 2))
    ends = torch.cat([states[:, -1, :16], states[:, 0, 16:]], 1)
    assert torch.allclose(encoder(x), encoder.head(ends), atol=1e-6)


def test_more_layers_end_in_the_state_of_the_last_one():
    torch.manual_seed(0)
    encoder = LSTM(16, layers=2).encoder((1, 20), 1, 3)
    states, _ = encoder.lstm(torch.ones(1, 20, 1))
    ends = torch.cat([states[:, -1, :16], states[:, 0, 16:]], 1)
    assert torch.allclose(encoder(torch.ones(1, 1, 20)), encoder.head(ends), atol=1e-6)


def test_a_signal_of_one_sample_is_a_signal():
    x = torch.randn(2, 1, 1)
    assert LSTM(8).decoder((1, 1), 3)(LSTM(8).encoder((1, 1), 1, 3)(x)).shape == x.shape
