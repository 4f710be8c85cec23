import sys
from functools import partial

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

from vaelab.cli import explain
from vaelab.config import build, check_settings, config_dir, did_you_mean
from vaelab.errors import UserError
from vaelab.objectives.beta_schedules import linear
from vaelab.objectives.latents import Gaussian
from vaelab.run import build_data

LATENT = {"_target_": "vaelab.objectives.latents.Gaussian", "dim": 4}
GROUPS = ("architecture", "latent", "likelihood", "beta_schedule", "optimizer", "task")


def refused(node):
    with pytest.raises(UserError) as told:
        build(OmegaConf.create(node))
    assert "\n" not in str(told.value)
    return str(told.value)


def entries():
    return [(g, path.stem) for g in GROUPS for path in sorted((config_dir() / g).glob("*.yaml"))]


@pytest.mark.parametrize(("group", "entry"), entries())
def test_every_entry_of_every_group_builds(group, entry):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("sample" if group == "task" else "train", overrides=[f"{group}={entry}"])
    assert build(config[group]) is not None


@pytest.mark.parametrize("entry", [path.stem for path in (config_dir() / "dataset").glob("*.yaml")])
def test_every_datasets_settings_are_those_that_its_source_and_codec_take(entry):
    dataset = OmegaConf.load(config_dir() / "dataset" / f"{entry}.yaml")
    dataset.update({key: "x" for key in dataset if OmegaConf.is_missing(dataset, key)})
    config = OmegaConf.create({"seed": 3, "dataset": dataset})
    assert build_data(config).batch_size > 0


def test_a_node_becomes_its_object_with_plain_settings():
    found = build(OmegaConf.create(LATENT))
    assert isinstance(found, Gaussian) and found.dim == 4
    node = {"_target_": "vaelab.nets.mlp.MLP", "widths": [8, 4]}
    assert type(build(OmegaConf.create(node)).widths) is list


@pytest.mark.parametrize("nested", [False, True])
def test_what_an_object_itself_refuses_is_told_in_its_own_one_line(nested):
    node = {**LATENT, "dim": 0}
    if nested:
        node = {"_target_": "vaelab.nets.mlp.MLP", "_args_": [node]}
    assert refused(node) == "latent.dim must be at least 1, not 0"


def test_a_partial_node_becomes_a_function_with_its_settings_bound():
    node = {"_target_": "vaelab.objectives.beta_schedules.linear", "_partial_": True, "warmup_steps": 4}
    schedule = build(OmegaConf.create(node))
    assert isinstance(schedule, partial) and schedule.func is linear and schedule(2, 10).beta == 0.5


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({**LATENT, "dimm": 3}, "there is no setting dimm: did you mean dim?"),
        ({"latent": {**LATENT, "dims_": 3}}, "there is no setting latent.dims_: did you mean dim?"),
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
        build_data(config) if node == "dataset" else build(config[node])
    assert words in str(told.value)


@pytest.mark.parametrize("override", ["batch_size=2.5", "batch_size=true", "flip=1", "split=80", "split=[a,b,c]"])
def test_how_items_are_served_is_checked_too(configure, override):
    with pytest.raises(UserError, match=rf"^dataset\.{override.split('=')[0]}=[^\n]+ is not [^\n]+$"):
        build_data(configure("sine", f"+dataset.{override}" if "flip" in override else f"dataset.{override}"))


@pytest.mark.parametrize("value", [1, 1.5, 0])
def test_a_whole_number_passes_where_a_number_is_meant(value):
    node = {"_target_": "vaelab.objectives.beta_schedules.constant", "_partial_": True, "value": value}
    check_settings(linear, OmegaConf.create({"value": value}))
    assert build(OmegaConf.create(node))(0, 10).beta == value


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "subprocess.run",
        "torch.load",
        "vaelab.run.torch.hub.load",
        "vaelab.run.subprocess.run",
        "vaelab.data.loader.torch.load",
        "vaelab.data.loader.torch.hub.load",
        "vaelab.data.loader.torch.add",
        "vaelab.data.cache.os.system",
        "vaelab.variants.base.VAE.load_from_checkpoint",
        "vaelab.data.module.DataModule.load_from_checkpoint",
        "vaelab.nets.base.ACTIVATIONS.clear",
        "vaelab.nets.mlp.MLP.__init__.__globals__.clear",
        "vaelab.nets.mlp.MLP.__subclasses__",
        "vaelab.nets.mlp.pairwise",
        "vaelab.run.load_run",
        "vaelab.train.main",
        "vaelab.nets.mlp",
        "vaelab.netsy.mlp.MLP",
        "vaelabnets.mlp",
    ],
)
def test_a_target_outside_of_vaelabs_rooms_is_not_run(target):
    assert refused({"_target_": target}) == f"_target_={target} lies outside of vaelab's rooms and is not run"


def test_looking_for_a_foreign_target_does_not_even_import_it(tmp_path, monkeypatch):
    (tmp_path / "innocent.py").write_text("import pathlib; pathlib.Path(__file__).with_name('ran').touch()")
    monkeypatch.syspath_prepend(tmp_path)
    assert "lies outside" in refused({"_target_": "innocent.thing"})
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["activation", "_args_"])
def test_a_foreign_target_hidden_further_down_is_not_run(key, tmp_path):
    hidden = {"_target_": "os.mkdir", "path": str(tmp_path / "ran")}
    node = {"_target_": "vaelab.nets.mlp.MLP", key: [hidden] if key == "_args_" else hidden}
    assert "os.mkdir lies outside" in refused(node) and not (tmp_path / "ran").exists()


def test_a_target_that_does_not_exist_is_named():
    assert refused({"net": {"_target_": "vaelab.nets.mlp.MPL"}}).startswith("net._target_=vaelab.nets.mlp.MPL cannot")


def test_did_you_mean_names_the_nearest_or_everything_or_nothing():
    assert did_you_mean("guassian", ["gaussian", "circle"]) == ": did you mean gaussian?"
    assert did_you_mean("zzz", ["b", "a"]) == ": there are a, b"
    assert did_you_mean("zzz", []) == ""


def test_the_configurations_lie_where_they_are_looked_for():
    assert (config_dir() / "train.yaml").is_file() and (config_dir() / "sample.yaml").is_file()
