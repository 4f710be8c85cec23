import numpy as np
import pytest
import torch

from vaelab.dataset.genres import Genres
from vaelab.errors import UserError


def test_clips_of_three_genres_are_cut_into_chunks_of_one_group():
    items = Genres(clips=4, clip_seconds=1.0, chunk_seconds=0.5, sample_rate=8000).load()
    assert items.raw.shape == (8, 1, 4000) and items.raw.dtype == torch.float32 and items.sample_rate == 8000
    assert items.group.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert items.label_names == ("piano", "rock", "techno")
    assert items.label.tolist() == [2, 2, 1, 1, 0, 0, 2, 2]


def test_a_clip_stays_the_same_when_more_are_asked_for():
    few, more = (Genres(clips=n, clip_seconds=0.5, sample_rate=8000).load().raw for n in (1, 2))
    np.testing.assert_array_equal(few[0], more[0])
    with pytest.raises(UserError, match="clips=0"):
        Genres(clips=0).load()
