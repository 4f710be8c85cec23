import pytest
import torch

from vaelab.reporting.board import WIDEST_CODE
from vaelab.reporting.finale import kl_of_dimensions


@pytest.mark.parametrize(("dimensions", "named"), [(3, 3), (WIDEST_CODE, WIDEST_CODE), (WIDEST_CODE + 1, 0)])
def test_each_dimension_has_its_kl_in_the_file_unless_there_are_too_many(tiny, dimensions, named):
    variant = tiny("digits").variant
    variant.kl = torch.arange(dimensions) / 4
    found = kl_of_dimensions(variant)
    assert len(found) == named
    assert not named or found["test/kl_of_dimension/2"] == 0.5


def test_a_plain_autoencoder_has_no_kl_in_the_file(tiny):
    variant = tiny("radio").variant
    variant.kl = torch.zeros(3)
    assert not variant.latent.has_prior and kl_of_dimensions(variant) == {}
