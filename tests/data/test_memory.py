import pytest

from vaelab.data.memory import free_memory, require_honest_size, require_memory
from vaelab.errors import UserError


def test_more_than_is_free_is_refused_with_both_numbers(tmp_path):
    require_memory(tmp_path, 1000)
    with pytest.raises(UserError, match=r"takes 1e\+06 GiB of memory and [\d.e+]+ are free"):
        require_memory(tmp_path, 10**6 * 2**30)
    assert 0 < free_memory() < 10**6 * 2**30


def test_what_unpacks_to_far_more_than_data_do_is_refused_and_sparse_data_are_not(tmp_path):
    require_honest_size(tmp_path, 10**6, 10**8)
    require_honest_size(tmp_path, 100, 10**6)
    with pytest.raises(UserError, match="unpacks from 6,000,000 to 6,000,000,000 bytes"):
        require_honest_size(tmp_path, 6 * 10**6, 6 * 10**9)
