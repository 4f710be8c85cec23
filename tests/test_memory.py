import resource
from contextlib import suppress
from functools import partial
from itertools import product

import pytest
import torch
from entries import load, names
from torch import nn

from vaelab import memory
from vaelab.architecture.base import Architecture
from vaelab.config import build
from vaelab.errors import UserError
from vaelab.memory import available, check_size, count_weights, require_honest_size, require_memory, told


def test_what_does_not_fit_is_told_by_what_asks_for_it(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 3 * 2**30)
    check_size(3 * 2**30, "dataset.waves")
    with pytest.raises(UserError, match=r"^dataset.waves would need 4 GiB of memory, and 3 GiB are free: lower it$"):
        check_size(4 * 2**30, "dataset.waves")
    with pytest.raises(UserError, match=r"^a, b and c would need 1,500 EiB of memory, .* lower one of them$"):
        check_size(1500 * 2**60, "a", "b", "c")


def test_sizes_are_told_in_the_unit_that_suits():
    assert [told(size) for size in (0, 1023, 1536, 2**20, 5e12)] == [
        "0 bytes",
        "1,023 bytes",
        "1.5 KiB",
        "1 MiB",
        "4.55 TiB",
    ]


def test_the_own_limit_of_a_process_counts():
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**40, before[1]))
    try:
        assert 0 < available() <= 2**40
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_a_control_group_counts_without_what_files_have_left(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    whole = available()
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("3000000\n")
    (tmp_path / "memory.stat").write_text("anon 2000000\nfile 1000000\n")
    assert available() == 3000000
    (tmp_path / "memory.max").write_text("max\n")
    assert available() > whole / 2


def test_weights_are_counted_without_being_made_and_without_a_draw():
    before = torch.get_rng_state()
    assert count_weights(lambda: nn.Linear(9, 11), lambda: nn.Linear(2, 3, bias=False)) == 9 * 11 + 11 + 6
    assert count_weights(lambda: nn.Linear(10**6, 10**6, bias=False)) == 10**12
    assert count_weights(lambda: nn.Linear(2**62, 4)) == memory.MOST
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", names("architecture"))
def test_every_architecture_can_be_counted(name):
    net, counted = build(load("architecture", name), Architecture), []
    for shape, dim in product([(1, 64), (1, 16, 16)], [3, None]):
        nets = [partial(net.encoder, shape, 2, dim), partial(net.decoder, shape, dim)]
        with suppress(UserError):  # of data or a code that it does not take
            _ = dim or net.own_code(shape)
            made = sum(weight.numel() for make in nets for weight in make().parameters())
            assert count_weights(*nets) == made > 0
            counted.append(made)
    assert counted


def test_more_than_is_free_is_refused_with_both_numbers(tmp_path):
    require_memory(tmp_path, 1000)
    with pytest.raises(UserError, match=r"takes 977 TiB of memory, and [^\n]+ are free"):
        require_memory(tmp_path, 10**6 * 2**30)
    assert 0 < available() < 10**6 * 2**30


def test_what_unpacks_to_far_more_than_data_do_is_refused_and_sparse_data_are_not(tmp_path):
    require_honest_size(tmp_path, 10**6, 10**8)
    require_honest_size(tmp_path, 100, 10**6)
    with pytest.raises(UserError, match="unpacks from 6,000,000 to 6,000,000,000 bytes"):
        require_honest_size(tmp_path, 6 * 10**6, 6 * 10**9)
