import gc
import logging

import torch

from vaelab.trainer.frameworks import import_frameworks


def test_the_collector_works_on_but_no_longer_walks_through_what_was_imported():
    import_frameworks()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000


def test_an_optimizer_does_not_look_for_the_drivers_library_in_every_step(monkeypatch):
    import_frameworks()
    asked = []
    monkeypatch.setattr(torch.cuda, "_device_count_nvml", lambda: asked.append("again") or 0)
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    torch.optim.Adam([weight], fused=True).step()
    assert asked == []


def test_lightning_keeps_its_notes_to_itself():
    import_frameworks()
    assert not logging.getLogger("lightning.pytorch.utilities.rank_zero").isEnabledFor(logging.INFO)
