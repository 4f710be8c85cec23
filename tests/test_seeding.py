import torch

from vaelab.seeding import reseed, seeded, stream_seed


def test_each_position_has_a_random_stream_of_its_own():
    seeds = {stream_seed(a, b, c) for a in range(10) for b in range(-1, 10) for c in range(10)}
    assert len(seeds) == 10 * 11 * 10 and all(0 <= seed < 2**63 for seed in seeds)
    assert stream_seed(1, 2) != stream_seed(2, 1)


def test_a_seed_means_what_it_means_in_torch():
    reseed(2**63 - 1)
    ours = torch.randn(5)
    torch.manual_seed(2**63 - 1)
    assert torch.equal(ours, torch.randn(5))


def test_seeded_draws_depend_on_nothing_before_them_and_change_nothing_after_them():
    torch.manual_seed(0)
    undisturbed = torch.randn(6)
    torch.manual_seed(0)
    before = torch.randn(3)
    with seeded(7):
        inside = torch.randn(3)
    after = torch.randn(3)
    torch.manual_seed(1)
    with seeded(7):
        assert torch.equal(inside, torch.randn(3))
    assert torch.equal(torch.cat([before, after]), undisturbed)
