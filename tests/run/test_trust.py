import importlib
import inspect
import pkgutil
import re

import pytest
from omegaconf import OmegaConf

import vaelab
from vaelab.config import config_dir
from vaelab.errors import UserError
from vaelab.run.trust import offered, refuse_foreign


def every_callable():
    """Dotted names of all public functions, classes and methods of the package, by every module that shows them."""
    for found in pkgutil.walk_packages(vaelab.__path__, "vaelab."):
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if callable(value) and not name.startswith("_"):
                yield f"{found.name}.{name}"
                if inspect.isclass(value):
                    yield from (
                        f"{found.name}.{name}.{method}" for method in vars(value) if not method.startswith("__")
                    )


def is_refused(config, **how):
    try:
        refuse_foreign(OmegaConf.create(config), "x.ckpt", **how)
    except UserError as told:
        assert "\n" not in str(told)
        return True
    return False


def at(place, node):
    for key in reversed(place.split(".")):
        node = {key: node}
    return node


def test_of_all_that_can_be_called_in_the_package_a_file_can_name_what_the_entries_name_and_in_their_place_alone():
    written = {
        (file.parent.name, target)
        for file in config_dir().glob("*/*.yaml")
        for target in re.findall(r"^_target_: (\S+)", file.read_text(), re.MULTILINE)
    }
    codecs = {
        ("dataset.codec", target)
        for file in (config_dir() / "dataset").glob("*.yaml")
        for target in re.findall(r"^  _target_: (\S+)", file.read_text(), re.MULTILINE)
    }
    assert {(place, target) for place, targets in offered().items() for target in targets} == written | codecs
    names, named = set(every_callable()), {target for _, target in written | codecs}
    assert len(names) > 1000 and len(named) > 50
    places = [*offered(), "hydra", "trainer", "report", "dataset.codec.deeper", "new"]
    pairs = {(p, name) for p in places for name in named} | {(p, name) for p in places[:2] for name in names}
    passed = {(p, name) for p, name in pairs if not is_refused(at(p, {"_target_": name}))}
    assert passed == written | codecs


@pytest.mark.parametrize("key", ["_args_", "_recursive_", "_convert_", "_mode_", "__class__"])
def test_nothing_is_told_to_hydra_but_target_and_settings(key):
    node = {"_target_": "vaelab.latent.gaussian.GaussianLatent"}
    assert not is_refused({"latent": node})
    assert is_refused({"latent": {**node, key: [1]}})


@pytest.mark.parametrize(
    "node", [[{"_target_": "os.getcwd"}], {"a": [[{"_target_": "os.getcwd"}]]}, {"_target_": None}]
)
def test_a_target_is_found_at_any_depth(node):
    assert is_refused({"trainer": {"plugins": node}}) == ("getcwd" in str(node))


def test_trust_opens_a_module_and_nothing_beside_it():
    config = {"architecture": {"_target_": "nets.mine.Net"}}
    assert is_refused(config) and is_refused(config, trust=["net"]) and is_refused(config, trust=["nets.mine.Net"])
    assert not is_refused(config, trust=["nets"]) and not is_refused(config, trust=["nets.mine"])
    assert is_refused({"architecture": {"_target_": "vaelab.run.checkpoint.load_run"}}, trust=["vaelab", "vaelab.run"])
