from types import SimpleNamespace

import pytest
import torch

from vaelab.reporting.board import WIDEST_CODE
from vaelab.reporting.finale import final_report, kl_of_dimensions


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


def test_the_items_that_are_measured_are_drawn_from_all_of_the_test_split(tiny, tmp_path, fifths, monkeypatch):
    run = tiny("digits", "dataset.split=[0.6,0.1,0.3]", "report.test_items=50", "report.figures=false")
    measured = []
    monkeypatch.setattr(run.variant, "measures", lambda examined, data: measured.append(examined) or {})
    run.variant.kl = torch.zeros(3)
    trainer = SimpleNamespace(checkpoint_callback=SimpleNamespace(best=None), global_step=1, logger=None, callbacks=[])
    final_report(trainer, run.variant, run.data(), tmp_path, run.config, {}, 1.0, swept=False)
    assert fifths(run.data(), "test") == (50, 5) and len(measured[0].item) == 50
