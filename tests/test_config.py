import sys
from functools import partial

import pytest
from entries import names
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

from vaelab.architecture.base import Architecture
from vaelab.beta_schedule.base import BetaSchedule
from vaelab.beta_schedule.linear import linear
from vaelab.cli import explain
from vaelab.config import bind, build, check_settings, config_dir, did_you_mean, implements
from vaelab.errors import UserError
from vaelab.latent.base import Latent
from vaelab.latent.gaussian import GaussianLatent
from vaelab.likelihood.base import Likelihood
from vaelab.objective.base import Objective
from vaelab.optimizer.base import MakeOptimizer
from vaelab.run.build import build_data
from vaelab.task.base import Task

LATENT = {"_target_": "vaelab.latent.gaussian.GaussianLatent", "dim": 4}
SCHEDULE = {"_target_": "vaelab.beta_schedule.linear.linear", "_partial_": True}
OBJECTS = {
    "architecture": Architecture,
    "latent": Latent,
    "likelihood": Likelihood,
    "objective": Objective,
    "task": Task,
}
FUNCTIONS = {"beta_schedule": BetaSchedule, "optimizer": MakeOptimizer}


def refused(node, interface=Latent, by=build):
    with pytest.raises(UserError) as told:
        by(OmegaConf.create(node), interface)
    assert "\n" not in str(told.value)
    return str(told.value)


def entries():
    return [(group, name) for group in OBJECTS | FUNCTIONS for name in names(group)]


@pytest.mark.parametrize(("group", "entry"), entries())
def test_every_entry_of_every_group_builds(group, entry):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("sample" if group == "task" else "train", overrides=[f"{group}={entry}"])
    if group in OBJECTS:
        assert implements(type(build(config[group], OBJECTS[group])), OBJECTS[group])
    else:
        assert callable(bind(config[group], FUNCTIONS[group]))


@pytest.mark.parametrize("entry", names("dataset"))
def test_every_datasets_settings_are_those_that_its_source_and_codec_take(entry):
    dataset = OmegaConf.load(config_dir() / "dataset" / f"{entry}.yaml")
    dataset.update({key: "x" for key in dataset if OmegaConf.is_missing(dataset, key)})
    config = OmegaConf.create({"seed": 3, "dataset": dataset})
    assert build_data(config).batch_size > 0


def test_a_node_becomes_its_object_with_plain_settings():
    found = build(OmegaConf.create(LATENT), Latent)
    assert isinstance(found, GaussianLatent) and found.dim == 4
    node = {"_target_": "vaelab.architecture.mlp.MLP", "widths": [8, 4]}
    assert type(build(OmegaConf.create(node), Architecture).widths) is list


def test_what_an_object_itself_refuses_is_told_in_its_own_one_line():
    assert refused({**LATENT, "dim": 0}) == "latent.dim must be at least 1, not 0"


def test_a_partial_node_becomes_a_function_with_its_settings_bound():
    schedule = bind(OmegaConf.create({**SCHEDULE, "warmup_steps": 4}), BetaSchedule)
    assert isinstance(schedule, partial) and schedule.func is linear and schedule(2, 10) == 0.5


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({**LATENT, "dimm": 3}, "there is no setting dimm: did you mean dim?"),
        ({**LATENT, "zzz": 3}, "there is no setting zzz: there are dim"),
    ],
)
def test_a_setting_that_is_not_there_names_the_nearest_or_all(node, words):
    assert refused(node) == words


@pytest.mark.parametrize(
    ("word", "near"), [("beta_schedule.valu", "beta_schedule.value"), ("optimiser.lr", "optimizer.lr")]
)
def test_a_setting_mistyped_on_the_command_line_names_the_nearest(monkeypatch, word, near):
    monkeypatch.setattr(sys, "argv", ["vaelab-train", f"{word}=3"])
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir()), version_base="1.3"), pytest.raises(HydraException) as raised:
        compose("train", overrides=[f"{word}=3"])
    line = explain(raised.value, "train")
    assert line == f"there is no setting {word}: did you mean {near}?"


@pytest.mark.parametrize(
    ("experiment", "override", "node", "words"),
    [
        ("digits", "latent.dim=abc", "latent", "latent.dim=abc is not a whole number or null"),
        ("digits", "latent.dim=true", "latent", "latent.dim=True is not a whole number or null"),
        ("digits", "latent.dim=1.5", "latent", "latent.dim=1.5 is not a whole number or null"),
        ("sine", "optimizer.lr=fast", "optimizer", "optimizer.lr=fast is not a number"),
        ("sine", "optimizer.lr=true", "optimizer", "optimizer.lr=True is not a number"),
        ("sine", "optimizer.lr=null", "optimizer", "optimizer.lr=null is not a number"),
        ("sine", "optimizer.betas=[0.9]", "optimizer", "optimizer.betas=[0.9] is not a list of 2, each a number"),
        ("sine", "optimizer.betas=[0.9,x]", "optimizer", "is not a list of 2, each a number"),
        ("sine", "architecture.widths=16", "architecture", "architecture.widths=16 is not a list, each a whole"),
        ("sine", "architecture.widths=[16,a]", "architecture", "is not a list, each a whole number"),
        ("sine", "architecture.activation=3", "architecture", "architecture.activation=3 is not a text"),
        ("digits", "dataset.codec.binarisation=maybe", "dataset", "is not one of none, dynamic, threshold"),
        ("sine", "dataset.codec.standardise=1", "dataset", "dataset.codec.standardise=1 is not true or false"),
        ("radio", "dataset.snr=[1,a]", "dataset", "dataset.snr=[1, 'a'] is not a number or a list of 2, each a number"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_in_words(configure, experiment, override, node, words):
    config = configure(experiment, override)
    with pytest.raises(UserError, match=r"^[^\n]+$") as told:
        made = OBJECTS | FUNCTIONS
        (bind if node in FUNCTIONS else build)(config[node], made[node]) if node in made else build_data(config)
    assert words in str(told.value)


@pytest.mark.parametrize("override", ["batch_size=2.5", "batch_size=true", "flip=1", "split=80", "split=[a,b,c]"])
def test_how_items_are_served_is_checked_too(configure, override):
    with pytest.raises(UserError, match=rf"^dataset\.{override.split('=')[0]}=[^\n]+ is not [^\n]+$"):
        build_data(configure("sine", f"+dataset.{override}" if "flip" in override else f"dataset.{override}"))


@pytest.mark.parametrize("value", [1, 1.5, 0])
def test_a_whole_number_passes_where_a_number_is_meant(value):
    node = {"_target_": "vaelab.beta_schedule.constant.constant", "_partial_": True, "value": value}
    check_settings(linear, OmegaConf.create({"value": value}))
    assert bind(OmegaConf.create(node), BetaSchedule)(0, 10) == value


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "torch.load",
        "torch.nn.Linear",
        "vaelab.run.build.torch.hub.load",
        "vaelab.run.checkpoint.load_run",
        "vaelab.train.main",
        "vaelab.data.writers.NpyWriter",
        "vaelab.data.writers.NpyWriter.write",
        "vaelab.variant.vae.VAE.load_from_checkpoint",
        "vaelab.architecture.mlp.MLP.__subclasses__",
        "vaelab.architecture.mlp",
        "vaelab.architecture.mlp.MLP",
        "vaelab.latent.base.Latent",
        "vaelab.beta_schedule.linear.linear",
    ],
)
def test_what_is_no_class_of_the_interface_of_its_place_is_not_built(target):
    assert f"_target_={target} is no class of the interface vaelab.latent.base.Latent" in refused({"_target_": target})


@pytest.mark.parametrize(
    ("target", "interface"),
    [
        ("vaelab.beta_schedule.base.Pressure", BetaSchedule),
        ("vaelab.optimizer.adam.adam", BetaSchedule),
        ("vaelab.beta_schedule.linear.linear", MakeOptimizer),
        ("vaelab.run.checkpoint.load_run", MakeOptimizer),
        ("os.system", MakeOptimizer),
    ],
)
def test_what_is_no_function_of_the_interface_of_its_place_is_not_bound(target, interface):
    assert f"_target_={target} is no function of (" in refused({"_target_": target, "_partial_": True}, interface, bind)


@pytest.mark.parametrize("partial_", [{}, {"_partial_": False}, {"_partial_": None}])
def test_a_forgotten_partial_is_told(partial_):
    node = {"_target_": SCHEDULE["_target_"], **partial_}
    assert "give this node._partial_=true" in refused(node, BetaSchedule, bind)


@pytest.mark.parametrize("key", ["_partial_", "_args_", "_recursive_", "_convert_"])
def test_of_an_object_hydra_is_told_nothing_but_its_settings(key):
    assert refused({**LATENT, key: True}).startswith(f"there is no setting this node.{key}")


@pytest.mark.parametrize("hidden", [lambda node: node, lambda node: [node], lambda node: {"a": [node]}])
def test_an_object_in_place_of_a_plain_value_is_refused_and_not_built(hidden, tmp_path):
    node = hidden({"_target_": "os.mkdir", "path": str(tmp_path / "ran")})
    for key in ("dim", "heads"):
        refused({**LATENT, key: node})
    task = {"_target_": "vaelab.task.prior.Prior", "density": node}
    refused(task, Task)
    assert not (tmp_path / "ran").exists()


MINE = """
from dataclasses import dataclass
from torch import nn
from vaelab.architecture.base import Architecture

@dataclass
class Mine(Architecture):
    width: int = 4
    inner: Architecture | None = None
    encoder = decoder = lambda self, *given: None

@dataclass
class Pair(Architecture):
    inner: Architecture
    encoder = decoder = lambda self, *given: None

class Other:
    def encoder(self): ...
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text(MINE)
    (tmp_path / "own_broken.py").write_text("import nowhere_to_be_found")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("own_nets", None)


def test_an_own_class_of_the_interface_lies_in_the_current_folder_and_is_checked_like_any_other(own):
    assert build(OmegaConf.create({"_target_": "own_nets.Mine", "width": 7}), Architecture).width == 7
    assert refused({"_target_": "own_nets.Mine", "widht": 7}, Architecture) == (
        "there is no setting widht: did you mean width?"
    )
    assert "is no class of the interface" in refused({"_target_": "own_nets.Other"}, Architecture)
    assert "cannot be found: No module named 'nowhere" in refused({"_target_": "own_broken.Net"}, Architecture)


def test_an_object_inside_an_object_is_built_where_its_type_says_so(own):
    inner = {"_target_": "vaelab.architecture.mlp.MLP", "widths": [3]}
    assert build(OmegaConf.create({"_target_": "own_nets.Pair", "inner": inner}), Architecture).inner.widths == [3]
    for wrong in ({"_target_": "os.getcwd"}, {**inner, "widths": [1.5]}, {**LATENT}):
        refused({"_target_": "own_nets.Pair", "inner": wrong}, Architecture)


def test_a_target_that_does_not_exist_is_named():
    assert refused({"_target_": "vaelab.architecture.mlp.MPL"}).startswith(
        "this node._target_=vaelab.architecture.mlp.MPL cannot"
    )


def test_did_you_mean_names_the_nearest_or_everything_or_nothing():
    assert did_you_mean("guassian", ["gaussian", "circle"]) == ": did you mean gaussian?"
    assert did_you_mean("zzz", ["b", "a"]) == ": there are a, b"
    assert did_you_mean("zzz", []) == ""


def test_the_configurations_lie_where_they_are_looked_for():
    assert (config_dir() / "train.yaml").is_file() and (config_dir() / "sample.yaml").is_file()
