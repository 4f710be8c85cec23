import numpy as np
import torch

from vaelab.task.base import Output
from vaelab.task.reconstruct import Reconstruct


def test_what_is_shown_is_drawn_from_all_of_the_split_and_its_numbers_are_written(tiny, tmp_path, fifths):
    run = tiny("digits", "dataset.split=[0.6,0.1,0.3]")
    Reconstruct(n=30)(run, Output(tmp_path))
    data = run.data()
    assert fifths(data, "test") == (30, 5)
    numbers, originals = (np.load(tmp_path / f"{name}.npy") for name in ("items", "originals"))
    assert np.array_equal(originals, data.items.raw[data.index["test"][torch.from_numpy(numbers)]])
    assert numbers.tolist() != sorted(numbers)
