import pickle
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from hydra_plugins.vaelab_sweeper import MOST, Remembering
from vaelab.cli import compose_and_do
from vaelab.config import config_dir

JOBS = {
    "another value": (["seed=1"], ["seed=2"]),
    "values of all types": (["seed=1", "optimizer.lr=.1", "threads=1"], ["seed=x", "optimizer.lr=null", "threads='2'"]),
    "the same twice": (["seed=1"], ["seed=1"]),
    "values and a group": (["latent=gaussian", "latent.dim=2"], ["latent=gaussian", "latent.dim=4"]),
    "another group": (["latent=gaussian", "seed=1"], ["latent=circle", "seed=1"]),
    "an experiment that chooses groups": (["experiment=digits", "seed=1"], ["experiment=digits", "seed=2"]),
    "an interpolation": (["optimizer.lr=0.1", "seed=1"], ["optimizer.lr=${seed}", "seed=2"]),
    "something added": (["+trainer.limit_train_batches=2"], ["+trainer.limit_train_batches=3"]),
    "something taken away": (["~trainer.max_steps", "seed=1"], ["~trainer.max_steps", "seed=2"]),
    "a whole node before its part": (
        ["trainer={max_epochs:1}", "trainer.max_epochs=2"],
        ["trainer={max_epochs:1}", "trainer.max_epochs=3"],
    ),
    "a part before its whole node": (
        ["trainer.max_epochs=2", "trainer={max_epochs:1}"],
        ["trainer.max_epochs=3", "trainer={max_epochs:1}"],
    ),
    "hydra's own": (["hydra.verbose=false", "seed=1"], ["hydra.verbose=true", "seed=2"]),
    "hydra's names of the jobs": (
        ["hydra.job.config.override_dirname.exclude_keys=[seed]", "seed=1", "threads=1"],
        ["hydra.job.config.override_dirname.exclude_keys=[seed]", "seed=2", "threads=2"],
    ),
}


@pytest.fixture
def loader():
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture
def master(loader):
    return loader.load_configuration("train", [], RunMode.MULTIRUN)


@pytest.fixture
def composed(monkeypatch):
    """The overrides of which configurations were composed."""
    jobs = []
    compose = ConfigLoaderImpl.load_sweep_config

    def noted(self, master_config, sweep_overrides):
        jobs.append(list(sweep_overrides))
        return compose(self, master_config, sweep_overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", noted)
    return jobs


def raw(config):
    return OmegaConf.to_container(config, resolve=False)


@pytest.mark.parametrize("jobs", JOBS.values(), ids=JOBS)
def test_a_job_has_the_configuration_that_hydra_composes(loader, master, jobs):
    remembering = Remembering(loader)
    for job in [*jobs, jobs[0]]:
        assert raw(remembering.load_sweep_config(master, job)) == raw(loader.load_sweep_config(master, job))


@pytest.mark.parametrize(
    ("jobs", "times"),
    [
        ([["seed=1"], ["seed=2"], ["seed=1"]], 1),
        ([["latent=gaussian"], ["latent=circle"], ["latent=gaussian"]], 2),
        ([["latent=gaussian", "seed=1"], ["latent=gaussian", "seed=2"]], 1),
        ([["trainer={max_epochs:1}", "trainer.max_epochs=2"], ["trainer={max_epochs:1}", "trainer.max_epochs=3"]], 2),
    ],
)
def test_jobs_that_differ_in_values_are_composed_once(loader, master, composed, jobs, times):
    remembering = Remembering(loader)
    for job in jobs:
        remembering.load_sweep_config(master, job)
    assert len(composed) == times


def test_what_a_job_made_of_its_configuration_is_not_handed_on(loader, master):
    remembering = Remembering(loader)
    for _ in range(3):
        config = remembering.load_sweep_config(master, ["seed=1"])
        assert (config.seed, config.trainer.max_epochs) == (1, 25)
        config.trainer.max_epochs = 1


def test_all_jobs_have_the_sweeps_own_time(loader):
    master = loader.load_configuration("train", ["hydra.sweep.dir=${now:%S}"], RunMode.MULTIRUN)
    remembering = Remembering(loader)
    remembering.load_sweep_config(master, ["seed=1"])
    folder = master.hydra.sweep.dir
    moved = OmegaConf.get_cache(master)["now"]
    moved |= dict.fromkeys(moved, "another time")
    assert master.hydra.sweep.dir != folder
    for job in (["seed=1"], ["seed=2"], ["threads=1"]):
        assert remembering.load_sweep_config(master, job).hydra.sweep.dir == master.hydra.sweep.dir


def test_a_configuration_is_as_strict_as_the_one_composed(loader, master):
    remembering = Remembering(loader)
    copied = [remembering.load_sweep_config(master, [f"seed={k}"]) for k in range(2)][1]
    assert OmegaConf.is_struct(copied) and not OmegaConf.is_readonly(copied.hydra)


def test_no_more_than_so_many_configurations_are_kept():
    class Loader:
        def load_sweep_config(self, master_config, sweep_overrides):
            return OmegaConf.create({"of": list(sweep_overrides)})

    remembering = Remembering(Loader())
    for k in range(MOST + 5):
        assert remembering.load_sweep_config(OmegaConf.create({}), [f"+seed={k}"]).of == [f"+seed={k}"]
    assert len(remembering.composed) == MOST


def test_other_processes_are_sent_the_loader_alone():
    remembering = Remembering(OmegaConf.create({"path": "a path"}))
    remembering.composed["seed"] = [], OmegaConf.create({})
    sent = pickle.loads(pickle.dumps(remembering))
    assert sent.composed == {} and sent.path == "a path"


@pytest.mark.parametrize(("sweeper", "times"), [("vaelab", 1), ("basic", 6)])
def test_a_sweep_composes_once_and_runs_every_job_even_the_same_one_again(
    monkeypatch, tmp_path, composed, sweeper, times
):
    jobs = []
    words = ["-m", "seed=3,4,3", "threads=1", f"hydra/sweeper={sweeper}", f"hydra.sweep.dir={tmp_path}"]
    monkeypatch.setattr("sys.argv", ["train.py", *words])

    def job(config):
        jobs.append((config.seed, Path(HydraConfig.get().runtime.output_dir).name))

    try:
        compose_and_do(job, "train")
    finally:
        GlobalHydra.instance().clear()
    assert jobs == [(3, "0"), (4, "1"), (3, "2")]
    assert len(composed) == times


def test_a_dry_sweep_lists_its_jobs_and_runs_none(monkeypatch, tmp_path, capsys):
    words = ["-m", "seed=3,4", "latent=circle", "hydra.sweeper.dry=true", f"hydra.sweep.dir={tmp_path}/sweep"]
    monkeypatch.setattr("sys.argv", ["train.py", *words])
    ran = []
    compose_and_do(ran.append, "train")
    GlobalHydra.instance().clear()
    assert capsys.readouterr().out.splitlines() == ["   0  seed=3 latent=circle", "   1  seed=4 latent=circle"]
    assert not ran and not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["optimizer.lr=interval(0.1,1)", "seed=glob(*)", "seed=range(3,1)"])
def test_what_lists_no_values_is_refused_before_anything_is_written(monkeypatch, tmp_path, capsys, word):
    monkeypatch.setattr("sys.argv", ["train.py", "-m", word, f"hydra.sweep.dir={tmp_path}/sweep"])
    with pytest.raises(SystemExit):
        compose_and_do(lambda config: None, "train")
    GlobalHydra.instance().clear()
    assert capsys.readouterr().err.startswith(f"vaelab: {word} ")
    assert not list(tmp_path.iterdir())


def test_a_fault_in_one_job_is_shown_whole_and_the_others_carry_on(monkeypatch, tmp_path, capsys):
    done = []
    words = ["-m", "seed=3,4,5", "hydra.sweeper.max_batch_size=1", f"hydra.sweep.dir={tmp_path}"]
    monkeypatch.setattr("sys.argv", ["train.py", *words])

    def job(config):
        if config.seed == 3:
            raise ZeroDivisionError("a fault")
        done.append(config.seed)

    with pytest.raises(SystemExit):
        compose_and_do(job, "train")
    GlobalHydra.instance().clear()
    told = capsys.readouterr().err
    assert done == [4, 5]
    assert "in job" in told and "job 0 failed: ZeroDivisionError('a fault')" in told
    assert told.splitlines()[-1] == "vaelab: 1 of 3 jobs failed: 0"
