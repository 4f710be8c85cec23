"""Files are whole or as they were, and the best is not what the last has become."""

import os
import resource

import pytest
import torch

from vaelab.reporting.checkpoints import WholeFiles, second_name


@pytest.fixture
def small_disk():
    """No file can grow beyond 100 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_of_the_disk_and_leaves_what_was_there(small_disk, tmp_path):
    file = tmp_path / "checkpoints" / "last.ckpt"
    WholeFiles().save_checkpoint({"step": torch.tensor(1)}, file)
    with pytest.raises(OSError, match="too large"):
        WholeFiles().save_checkpoint({"step": torch.tensor(2), "weights": torch.zeros(1_000_000)}, file)
    assert torch.load(file, weights_only=True)["step"] == 1
    assert list(file.parent.iterdir()) == [file]


def test_other_faults_of_writing_are_not_hidden(tmp_path):
    with pytest.raises(Exception, match="pickle"):
        WholeFiles().save_checkpoint({"function": lambda: None}, tmp_path / "last.ckpt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("links", [True, False])
def test_the_best_stays_when_the_last_goes_on(tmp_path, monkeypatch, links):
    def refused(*_):
        raise PermissionError("no links here")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    last, best = tmp_path / "last.ckpt", tmp_path / "best.ckpt"
    for step in (1, 2):
        WholeFiles().save_checkpoint({"step": step}, last)
        second_name(last, best)
    WholeFiles().save_checkpoint({"step": 3}, last)
    assert [torch.load(file, weights_only=True)["step"] for file in (best, last)] == [2, 3]
    assert sorted(tmp_path.iterdir()) == [best, last]
