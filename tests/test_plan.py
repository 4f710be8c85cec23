"""The plan of the house: a folder for each group of the configuration, and imports that go down, never round."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from vaelab.config import config_dir

PACKAGE = Path(__file__).parents[1] / "src" / "vaelab"
PROJECT = Path(__file__).parents[1] / "pyproject.toml"
README = Path(__file__).parents[1] / "README.md"
DOORS = {"vaelab.train", "vaelab.sample"}
# From the ground up: what lies on a floor imports from its own and from those below it.
FLOORS = (
    {"errors", "seeding", "memory", "config", "linear"},
    {"simulators", "metrics", "figures"},
    {"latent", "likelihood", "beta_schedule", "objective", "architecture", "optimizer"},
    {"data", "codec", "dataset"},
    {"kind"},
    {"variant", "accelerator", "loop"},
    {"overrides", "cli"},
    {"run"},
    {"report"},
    {"trainer"},
    {"task"},
    {"train", "sample"},
)


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


NAMES = {name for name, _ in modules()}


def imports(path, everything=True):
    """Modules of the package that a file imports; what only type checkers see does not count."""
    tree = ast.parse(path.read_text())
    hidden = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node not in hidden:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if (name := inner if inner in NAMES else node.module) in NAMES:
                    yield name


GRAPH = {name: sorted({*imports(path)} - {name}) for name, path in modules()}


def room(module):
    return module.split(".")[1] if "." in module else "vaelab"


@pytest.mark.parametrize("file", sorted(config_dir().glob("*/*.yaml")), ids=lambda f: f"{f.parent.name}={f.stem}")
def test_what_an_entry_names_lies_in_the_folder_of_its_group(file):
    node = yaml.safe_load(file.read_text())
    if "_target_" in node:
        assert node["_target_"].startswith(f"vaelab.{file.parent.name}.")
        assert (PACKAGE / file.parent.name / "base.py").is_file()
    if "codec" in node:
        assert node["codec"]["_target_"].startswith("vaelab.codec.")


def test_the_readmes_table_of_entries_is_what_the_configurations_offer():
    rows = [line.split("|")[1:3] for line in README.read_text().splitlines() if line.startswith("| `")]
    table = {group.split("`")[1]: set(words.split("`")[1::2]) for group, words in rows}
    groups = {folder for folder in config_dir().iterdir() if folder.is_dir()}
    offered = {folder.name: {file.stem for file in folder.glob("*.yaml")} for folder in groups}
    assert {group: table.get(group) for group in offered} == offered


def test_nothing_imports_itself_by_a_detour():
    done, way = set(), []

    def walk(name):
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            way.append(name)
            for other in GRAPH[name]:
                walk(other)
            way.pop()
            done.add(name)

    for name in GRAPH:
        walk(name)


def test_nothing_imports_a_door():
    assert not {name: doors for name, others in GRAPH.items() if (doors := DOORS & set(others)) and name not in DOORS}


def test_every_room_stands_on_those_below_it():
    floor = {name: k for k, rooms in enumerate(FLOORS) for name in rooms}
    wrong = [
        (name, other)
        for name, others in GRAPH.items()
        for other in others
        if "." in name and "." in other and floor[room(other)] > floor[room(name)]
    ]
    assert not wrong


def test_no_kind_knows_a_method_or_a_net():
    for name, path in modules():
        if room(name) == "kind":
            assert not {other for other in GRAPH[name] if room(other) in ("variant", "architecture", "loop")}
            assert "lightning" not in path.read_text() and "nn.Module" not in path.read_text()


def _names(comparison):
    """Whether something is compared with words."""
    return isinstance(comparison.comparators[0], ast.Constant | ast.Tuple | ast.Set | ast.List)


def test_nothing_asks_which_kind_or_method_it_has_before_it():
    for name, path in modules():
        if room(name) in ("kind", "variant"):
            continue
        named = {other for other in GRAPH[name] if room(other) in ("kind", "variant")}
        assert named <= {"vaelab.kind.base", "vaelab.variant.base"}, name
        # Readers hold a file against what the data of a run were.
        if room(name) in ("dataset", "data"):
            continue
        asked = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Compare)]
        left = [node.left.attr for node in asked if isinstance(node.left, ast.Attribute) and _names(node)]
        assert "kind" not in left, name


def test_what_the_package_imports_is_declared_and_not_left_to_others_to_bring():
    needs = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    declared = {re.match(r"[\w.-]+", need)[0].lower().replace("_", "-") for need in needs}
    imported = {
        name.partition(".")[0]
        for path in PACKAGE.parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    brought = packages_distributions()
    others = imported - sys.stdlib_module_names - {"vaelab"}
    assert {
        name for name in others if not declared & {found.lower().replace("_", "-") for found in brought.get(name, [])}
    } == set()
