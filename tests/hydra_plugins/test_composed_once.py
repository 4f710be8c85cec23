import pickle
from collections import Counter

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from hydra_plugins.composed_once import MOST, Remembering
from vaelab.cli import run


class Loader:
    """Composes nothing, and counts how often it is asked."""

    def __init__(self):
        self.asked = Counter()

    def load_sweep_config(self, master_config, sweep_overrides):
        self.asked[tuple(sweep_overrides)] += 1
        return OmegaConf.create({"of": list(sweep_overrides)})

    def get_search_path(self):
        return "a path"


def test_a_job_is_composed_once_to_be_checked_and_run():
    remembering = Remembering(Loader())
    master = OmegaConf.create({})
    checked = [remembering.load_sweep_config(master, [f"seed={k}"]) for k in range(3)]
    launched = [remembering.load_sweep_config(master, [f"seed={k}"]) for k in range(3)]
    assert all(one is other for one, other in zip(checked, launched, strict=True))
    assert [config.of for config in launched] == [["seed=0"], ["seed=1"], ["seed=2"]]
    assert set(remembering.loader.asked.values()) == {1}


def test_what_a_job_made_of_its_configuration_is_not_handed_on():
    remembering = Remembering(Loader())
    master = OmegaConf.create({})
    first = [remembering.load_sweep_config(master, ["seed=0"]) for _ in range(2)][1]
    first.of = "changed"
    assert remembering.load_sweep_config(master, ["seed=0"]).of == ["seed=0"]


def test_no_more_than_so_many_configurations_are_kept():
    remembering = Remembering(Loader())
    master = OmegaConf.create({})
    jobs = [[f"seed={k}"] for k in range(MOST + 5)]
    for job in 2 * jobs:
        assert remembering.load_sweep_config(master, job).of == job
    assert sum(remembering.loader.asked.values()) == MOST + 2 * 5


def test_other_processes_are_sent_the_loader_alone():
    remembering = Remembering(Loader())
    remembering.load_sweep_config(OmegaConf.create({}), ["seed=0"])
    sent = pickle.loads(pickle.dumps(remembering))
    assert sent.composed == {} and sent.get_search_path() == "a path"


@pytest.mark.parametrize(("sweeper", "each"), [("composed_once", 1), ("basic", 2)])
def test_a_sweep_composes_each_job_once(monkeypatch, tmp_path, capsys, sweeper, each):
    composed, seeds = Counter(), []
    compose = ConfigLoaderImpl.load_sweep_config

    def counted(self, master_config, sweep_overrides):
        composed[tuple(sweep_overrides)] += 1
        return compose(self, master_config, sweep_overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    words = ["-m", "seed=3,4", "threads=1", f"hydra/sweeper={sweeper}", f"hydra.sweep.dir={tmp_path}"]
    monkeypatch.setattr("sys.argv", ["train.py", *words])
    try:
        run(lambda config: seeds.append(config.seed), "train")
    finally:
        GlobalHydra.instance().clear()
    assert seeds == [3, 4]
    assert list(composed.values()) == [each, each]
