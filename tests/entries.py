"""The entries of a group of the configuration, found where they lie: a new one is tested at once."""

from functools import cache

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from vaelab.config import config_dir


def names(group):
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))


@cache
def composed(group, name):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose(f"{group}/{name}")


def load(group, name, **changed):
    """The settings of an entry, some of them changed."""
    node = composed(group, name).copy()[group]
    OmegaConf.set_struct(node, False)
    node.update(changed)
    return node
