"""Classes of the user's own: the example of each interface works as it stands, and each mistake is told in one line."""

import importlib
import math
import re
import textwrap
from functools import partial

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from torch import nn

from vaelab.architecture.base import Architecture
from vaelab.architecture.mlp import MLP
from vaelab.cli import of_own_module, register_resolvers
from vaelab.config import build, check_methods, config_dir
from vaelab.data.items import Items, check_items
from vaelab.dataset.base import Source
from vaelab.errors import UserError
from vaelab.kind.signals import Signals
from vaelab.latent.gaussian import GaussianLatent
from vaelab.likelihood.base import Likelihood
from vaelab.likelihood.gaussian import Gaussian
from vaelab.run.build import build_codec, build_data, build_variant
from vaelab.run.checkpoint import Run
from vaelab.run.checks import (
    Checked,
    check_architecture,
    check_begun,
    check_likelihood,
    check_method,
    check_nets,
    check_samples,
)
from vaelab.task.base import Output, Task
from vaelab.variant.base import Method

GROUPS = (
    *("dataset", "codec", "architecture", "latent", "likelihood", "objective", "beta_schedule", "optimizer"),
    *("kind", "variant", "task"),
)
SMALL = ["variant=vae", "latent=gaussian", "latent.dim=2", "dataset.waves=60", "dataset.samples=32"]


def example(group):
    """The python file, its name, the entry and its path, as the interface of a group shows them."""
    module = importlib.import_module(f"vaelab.{group}.base")
    own = [found for found in vars(module).values() if getattr(found, "__module__", "") == module.__name__]
    texts = [module.__doc__, *(vars(found).get("__doc__") for found in own if isinstance(found, type))]
    form = r"^( +)# (my\w+)\.py\n(.*?)^\1# ((?:in )?mine/\S+)\n((?:\1[^\n]*\n)+)"
    shown = (re.search(form, text or "", re.M | re.S) for text in texts)
    _, name, code, entry, settings = next(filter(None, shown)).groups()
    return name, textwrap.dedent(code), entry.removeprefix("in "), textwrap.dedent(settings)


def composed(folder, *words, door="train"):
    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose(door, overrides=[f"hydra.searchpath=[file://{folder}]", *words])
    OmegaConf.resolve(config) if door == "train" else None
    return config


def built(config):
    torch.manual_seed(0)
    data = build_data(config)
    found = data.prepare()
    variant = build_variant(config, data.codec, found.signature, found.shape)
    return Run(None, None, config, variant, _data=data)


@pytest.mark.parametrize("group", GROUPS)
def test_the_example_in_each_interface_works_as_it_stands(group, tmp_path, monkeypatch):
    name, code, entry, settings = example(group)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / f"{name}.py").write_text(code)
    path = tmp_path / entry
    path.parent.mkdir(parents=True)
    words = list(SMALL)
    if group == "codec":
        settings = (config_dir() / "dataset/sine.yaml").read_text().split("codec:")[0] + settings
    elif group not in ("kind", "task"):
        words = [word for word in words if not word.startswith(f"{group}")] + [f"{group}={path.stem}"]
    path.write_text(settings)
    if group == "codec":
        words.append(f"dataset={path.stem}")
    run = built(composed(tmp_path / "mine", *words))
    batch = run.data().batch("train")
    loss, terms = run.variant.step(batch, 0)
    assert loss.isfinite() and loss.requires_grad and all(term.ndim == 0 for term in terms.values())
    check_samples(run.variant)
    optimizer, _ = run.variant.optimize(list(run.variant.parameters()), 10)
    assert isinstance(optimizer, torch.optim.Optimizer)
    if group == "kind":
        found = importlib.import_module(name).Heartbeats
        signature = run.signature
        assert not found.fits(signature)
        signature.facts["beats_per_minute"] = 60.0
        kind = found(run.variant.codec, signature)
        x = run.variant.sample(kind.samples, 0)
        assert kind.sample_measures(x, batch.item, run.data())["energy"] > 0
        assert kind.sample_baselines(batch.item, run.data())["ceiling/energy"] > 0
        assert kind.sample_figure(x) is not None
    if group == "task":
        task = build(composed(tmp_path / "mine", "task=nearest", "run=x", door="sample").task, Task)
        task(run, Output(tmp_path / "out"))
        assert (tmp_path / "out" / "nearest.npy").is_file()


# What is checked before anything is trained ---------------------------------------------------------------------------


class Whole(Method):
    name = "whole"
    monitor = ("val/error", "min")

    @classmethod
    def nets(cls, architecture, shape, latent, own_code):
        return {"decoder": partial(architecture.decoder, shape, latent.code_size)}

    def step(self, batch, batch_idx):
        return self.decoder(torch.zeros(1, self.latent.code_size)).mean(), {}

    def told(self):
        return ["error"]

    def validation_step(self, batch, batch_idx):
        self.log("val/error", 1.0)

    def sample(self, n, seed):
        return torch.zeros(n, *self.shape)


def changed(**members):
    return type("Changed", (Whole,), members)


@pytest.fixture
def parts(configure, monkeypatch):
    """What a method is made of."""
    from vaelab.run import build as module

    given = []

    def kept(node, interface, *args, **named):
        given.extend(args)
        return build(node, interface, *args, **named)

    monkeypatch.setattr(module, "build", kept)
    built(configure("sine", "variant=vae", "latent=gaussian"))
    return given[-1]


def refused(check, *given):
    with pytest.raises(UserError) as told:
        check(*given)
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize(
    ("found", "interface", "words"),
    [
        (changed(step=Method.step), Method, "has no step(batch, batch_idx): vaelab.variant.base says"),
        (changed(told=Method.told), Method, "has no told()"),
        (changed(validation_step=Method.validation_step), Method, "has no validation_step(batch, batch_idx)"),
        (changed(nets=vars(Method)["nets"]), Method, "has no nets(architecture, shape, latent, own_code)"),
        (changed(nets=lambda self, a, s, z, o: {}), Method, "nets is asked of the class: write @classmethod above it"),
        (changed(step=lambda self, batch: 1), Method, "step must take (batch, batch_idx), and takes (batch)"),
        (changed(sample=lambda self, n: 1), Method, "sample must take (n, seed), and takes (n)"),
        (type("A", (Architecture,), {"decoder": lambda self, shape, code_size: 1}), Architecture, "has no encoder(s"),
        (type("L", (Likelihood,), {"log_prob": lambda self, t, p: 1}), Likelihood, "has no sample(params)"),
    ],
)  # fmt: skip
def test_a_method_that_is_missing_or_takes_other_things_is_told_before_anything_is_made(found, interface, words):
    assert words in refused(check_methods, found, interface, "variant._target_=mine.X")


def test_a_whole_method_passes(parts):
    check_methods(Whole, Method, "")
    method = Whole(parts)
    check_method(method)
    check_samples(method)


@pytest.mark.parametrize(("name", "mode"), [("strangeness", "min"), ("error", "max")])
def test_what_chooses_the_best_weights_does_so_as_the_method_says_whether_it_is_named_or_not(parts, name, mode):
    own = (f"val/{name}", mode)
    method = changed(monitor=own, told=lambda self: [name, "loss"])(parts)
    assert method.monitored(None) == method.monitored(own[0]) == own
    assert method.monitored("val/loss") == ("val/loss", "min")


def test_what_more_a_method_takes_by_default_is_its_own_matter():
    check_methods(changed(sample=lambda self, n, seed, hot=1.0: 1), Method, "")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"name": ""}, "needs a name"),
        ({"monitor": "val/error"}, "needs monitor = (NAME, 'min' or 'max')"),
        ({"monitor": ("val/error", "least")}, "needs monitor = (NAME, 'min' or 'max')"),
        ({"monitor": ("error", "min")}, "monitor error is not what told tells: val/error"),
        ({"monitor": ("val/loss", "min")}, "monitor val/loss is not what told tells: val/error"),
        ({"told": lambda self: "error"}, "told must return a list of names"),
        ({"sample": Method.sample}, "has no sample(n, seed)"),
        ({"__init__": lambda self, parts: Method.__init__(self, parts._replace(nets={}))}, "has nothing to train"),
    ],
)
def test_a_method_that_cannot_be_trained_or_judged_is_told_before_the_first_step(parts, members, words):
    assert words in refused(check_method, changed(**members)(parts))


@pytest.mark.parametrize("nets", [[nn.Identity], {"net": nn.Identity()}, None])
def test_nets_are_functions_by_name(nets):
    assert "each name with a function that makes its net" in refused(check_nets, nets, "variant._target_=x")


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (lambda self, n, seed: torch.zeros(n, 7), "gives (2, 7), torch.float32, cpu: it must be (2, 1, 32)"),
        (lambda self, n, seed: torch.zeros(n, *self.shape).double(), "torch.float64"),
        (lambda self, n, seed: torch.zeros(n, *self.shape).numpy(), "gives ndarray"),
        (lambda self, n, seed: torch.full((n, *self.shape), torch.nan), "no numbers"),
        (lambda self, n, seed: torch.zeros(n, *self.shape, requires_grad=True), "@torch.inference_mode() above it"),
    ],
)  # fmt: skip
def test_new_items_of_another_shape_or_type_are_told(parts, sample, words):
    assert words in refused(check_samples, changed(sample=sample)(parts))


@pytest.mark.parametrize(
    ("loss", "words"),
    [(torch.zeros(3, requires_grad=True), "a loss of shape (3,)"), (torch.zeros(()), "a loss without a gradient")],
)
def test_a_loss_that_cannot_be_minimised_is_told(parts, loss, words):
    assert words in refused(Checked("val/error").on_before_backward, None, Whole(parts), loss)


@pytest.mark.parametrize("given", [None, torch.zeros(()), (torch.zeros(()), {"loss": 1.0}), {"loss": 1}])
def test_what_a_step_returns_must_be_a_loss_and_terms(parts, given):
    method = changed(step=lambda self, batch, batch_idx: given, _seed=lambda self, *place: None)(parts)
    method._trainer = type("T", (), {"global_rank": 0, "global_step": 0})()
    assert "variant=whole: step must return a loss" in refused(Method.training_step, method, None, 0)


@pytest.mark.parametrize(
    ("name", "net", "words"),
    [
        ("encoder", lambda: None, "encoder gives NoneType: it must give a torch.nn.Module"),
        ("encoder", lambda: nn.Sequential(nn.Flatten(), nn.Linear(4, 7)), "makes (2, 7) of (2, 1, 4): it must be"),
        ("decoder", lambda: nn.Linear(2, 4), "makes (2, 4) of (2, 2): it must be (2, 1, 4)"),
    ],
)  # fmt: skip
def test_nets_of_other_shapes_are_told(name, net, words):
    mlp = MLP(widths=[4])
    setattr(mlp, name, lambda *given: net())
    assert words in refused(check_architecture, mlp, (1, 4), GaussianLatent(dim=2), False)


def test_a_likelihood_that_is_not_summed_over_an_item_is_told():
    own = type("Own", (Gaussian,), {"log_prob": lambda self, target, params: target})()
    assert "Own.log_prob makes (2, 1, 4) of (2, 1, 4): it must be (2,)" in refused(check_likelihood, own, (1, 4))


def test_a_module_that_was_not_begun_is_told():
    assert "super().__init__()" in refused(check_begun, Gaussian.__new__(Gaussian))


# Data, kinds and whatever a module raises -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"raw": torch.zeros(6, 4)}, "raw of (6, 4), torch.float32, and a signal's must be (items, channels, time)"),
        ({"raw": torch.zeros(6, 1, 4).double()}, "torch.float64"),
        ({"raw": torch.zeros(6, 1, 4).numpy()}, "raw of ndarray"),
        ({"kind": "wave"}, "kind='wave' is none of signal, trace, picture, sound"),
        ({"kind": "picture"}, "(items, channels, height, width)"),
        ({"label": torch.zeros(6)}, "label of (6,), torch.float32, and of 6 items it must be (6,), torch.int64"),
        ({"group": torch.zeros(5).long()}, "group of (5,)"),
        ({"factors": {"a": torch.zeros(5)}}, "factors['a'] of (5,), torch.float32, and of 6 items it must be (6,)"),
        ({"facts": {"a": "b"}}, "facts['a'] is no plain finite number but str"),
        ({"facts": {"a": math.nan}}, "facts['a'] is no plain finite number"),
        ({"clean": torch.zeros(6, 1, 3)}, "clean of (6, 1, 3)"),
        ({"names": ["a"]}, "there are 1 names of 6 items"),
    ],
)
def test_what_a_source_hands_over_is_checked(fields, words):
    assert words in refused(check_items, Items(**{"kind": "signal", "raw": torch.zeros(6, 1, 4), **fields}), "Mine")


def test_a_source_must_return_items():
    assert "Mine.load returns Tensor: return vaelab.data.items.Items" in refused(check_items, torch.zeros(3), "Mine")


class Undecorated:
    waves: int = 3

    def load(self):
        return None


def test_settings_of_a_class_without_any_ask_for_the_dataclass(monkeypatch):
    node = OmegaConf.create({"dataset": {"_target_": f"{__name__}.Undecorated", "waves": 3}}).dataset
    assert "Undecorated takes none; is @dataclass missing above it?" in refused(build, node, Source)


def test_a_dataset_without_a_codec_is_told_which_to_name(configure):
    config = configure("sine")
    del config.dataset.codec
    assert "dataset has no codec: its entry must name one" in refused(build_codec, config)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("measures", 1.0, "measures gives float: it must be a dict, each name with one number"),
        ("measures", {"a": "good"}, "it must be a dict, each name with one number"),
        ("sample_measures", None, "gives NoneType"),
        ("sample_figure", torch.zeros(3), "it must be a figure of matplotlib, or None"),
        ("figures", None, "it must be a dict, each name with a figure of matplotlib"),
    ],
)
def test_what_a_kind_returns_is_checked(tiny, name, given, words):
    variant = tiny("sine").variant
    members = {"name": "mine", name: lambda self, *given_: given}
    kind = type("Mine", (Signals,), members)(variant.codec, variant.signature)
    asked = getattr(kind, name)
    assert words in refused(asked, None, None)


def test_measures_may_be_tensors_of_one_number(tiny):
    variant = tiny("sine").variant
    mine = type("Mine", (Signals,), {"measures": lambda self, examined, data: {"a": torch.ones(())}})
    assert mine(variant.codec, variant.signature).measures(None, None) == {"a": 1.0}


def raised(act):
    try:
        act()
    except Exception as error:
        return error
    return None


def test_an_error_in_a_module_of_ones_own_is_one_line_that_says_where(monkeypatch):
    error = raised(lambda: {}["x"])
    own = OmegaConf.create({"variant": {"_target_": f"{__name__}.Mine"}})
    assert re.search(
        rf"^{__name__}\..*<lambda>, line \d+: KeyError: 'x' \(VAELAB_TRACEBACK=1 ", str(of_own_module(error, own))
    )
    assert of_own_module(error, OmegaConf.create({"variant": {"_target_": "vaelab.variant.vae.VAE"}})) is None
    assert of_own_module(error, OmegaConf.create({"trust": [__name__]})) is not None
    monkeypatch.setenv("VAELAB_TRACEBACK", "1")
    assert of_own_module(error, own) is None


def test_a_method_that_is_left_open_is_told_by_its_name():
    error = raised(lambda: Architecture().encoder((1, 4), 1, 2))
    told = of_own_module(error, OmegaConf.create({}))
    assert (
        str(told) == "vaelab.architecture.base.Architecture has no encoder: vaelab.architecture.base says what it does"
    )
