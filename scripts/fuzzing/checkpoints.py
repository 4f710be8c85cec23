"""Checkpoints of a stranger's: a real one with bytes damaged, or with anything else in its places, and a task of it.

Nothing is promised of weights that were changed, but that what comes out of them is finite; and that a checkpoint
touches nothing in the user's home, whatever it names.
"""

from __future__ import annotations

import copy
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fuzzing import _doors
from fuzzing._bytes import damaged, packed_zeros, with_head
from fuzzing._kind import Input, Kind, Reading, Rng, pick, some

WORDS = [*_doors.SINE, *_doors.QUIET, "trainer.max_epochs=1", "latent=gaussian", "latent.dim=2"]
PRECIOUS = "a file of the user's\n"
TARGETS = (
    *("os.system", "builtins.eval", "builtins.open", "torch.load", "numpy.save", "nowhere.at.all", "", "vaelab", "."),
    *(
        "vaelab.data.writers.NpyWriter",
        "vaelab.data.writers.NpyWriter.write",
        "vaelab.run.checkpoint.load_run",
        "vaelab.data.cache._save",
    ),
    *("vaelab.latent.base.Latent", "vaelab.latent.base.GaussianLatent", "vaelab.architecture.mlp.MLP"),
    *("vaelab.dataset.image_folder.ImageFolder", "vaelab.variant.vae.VAE", "vaelab.architecture.base.Architecture"),
    *(
        "vaelab.task.prior.Prior",
        "vaelab.data.loader.torch.load",
        "vaelab.errors.UserError",
        "vaelab.architecture.lstm.LSTM",
    ),
)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 10**30, 0.5, -0.5, 1e308, float("nan"), float("inf"), "", "abc"),
    *([], [0], [1, 2, 3], [2**40], [10**6] * 3, [[1]], {}, {"a": 1}, {"_target_": "os.system", "command": "true"}),
    *("${seed}", "${oc.env:HOME}", "${nowhere}", "???", "[/b]", "x" * 10_000, "\0", "é", "~/precious", "1e3", "0x10"),
)
TEXTS = (
    *(
        "",
        "null",
        "[]",
        "{",
        "a",
        "- 1\n- 2",
        "a: &a [*a]",
        "%",
        "\t",
        "\0",
        "a: b: c",
        "? ",
        "!!python/object:os.system {}",
    ),
    *("seed: ${oc.env:HOME}", "${nowhere}", "a: &a {b: *a}", "x: " + "[" * 5000, "é" * 100, "<<: *nowhere"),
)
# 9^9 times a word.
LAUGHS = "a0: &a0 [lol]\n" + "".join(f"a{k + 1}: &a{k + 1} [{', '.join([f'*a{k}'] * 9)}]\n" for k in range(9))
CANARY = {"_target_": "vaelab.data.writers.NpyWriter.write", "self": None, "piece": None}


def prepare(folder: Path) -> None:
    """A real run."""
    _doors.door("train", *WORDS, f"hydra.run.dir={folder}/run")


def make(rng: Rng, folder: Path, ready: Path) -> Input:
    """A checkpoint, damaged or changed, from which two items are then sampled."""
    original, path = ready / "run" / "checkpoints" / "best.ckpt", folder / "best.ckpt"
    precious = Path("~/precious").expanduser()
    precious.write_text(PRECIOUS)
    if rng.random() < 0.4:
        words = damaged_file(rng, original, path)
    else:
        content = torch.load(original, map_location="cpu", weights_only=True)
        words = pick(rng, CHANGES)(rng, content)
        torch.save(content, path)
    task = "prior" if rng.random() < 0.8 else pick(rng, ("gmm", "manifold", "traverse"))
    return Input(
        f"{words}; {task}", lambda: sampled(path, folder / "out", task), lambda reading: wrong(reading, precious)
    )


def sampled(path: Path, out: Path, task: str) -> Reading:
    """What a task makes of it."""
    from vaelab.run.checkpoint import load_run
    from vaelab.task.base import Output
    from vaelab.task.manifold import Manifold
    from vaelab.task.prior import Prior
    from vaelab.task.traverse import Traverse

    tasks: dict[str, Any] = {
        "prior": lambda: Prior(n=2),
        "gmm": lambda: Prior(n=2, density="gmm"),
        "manifold": lambda: Manifold(n=2),
        "traverse": lambda: Traverse(n=3),
    }
    tasks[task]()(load_run(path), Output(out))
    return Reading(folder=out)


def wrong(reading: Reading, precious: Path) -> str:
    """What must not have come of it."""
    if not precious.is_file() or precious.read_text() != PRECIOUS:
        return "a file in the user's home was written"
    return _doors.not_finite(reading.folder) if reading.folder else ""


# Bytes ------------------------------------------------------------------------------------------------------------


def damaged_file(rng: Rng, original: Path, path: Path) -> str:
    """Write a file that is damaged, no checkpoint, or far too large when it is unpacked."""
    data, how = original.read_bytes(), pick(rng, ("bytes",) * 8 + ("in the middle",) * 3 + ("head", "other", "packed"))
    if how == "bytes":
        data, how = damaged(data, rng)
    elif how == "in the middle":
        # The pickle, where names and shapes are.
        place = int(rng.integers(0, len(data) // 3))
        inner, how = damaged(data[place : place + 2000], rng)
        data, how = data[:place] + inner + data[place + 2000 :], f"{how} in the middle"
    elif how == "head":
        data = with_head(data, pick(rng, (b"\x80\2}q\0." * 20, b"PK\5\6" + bytes(80), b"\x93NUMPY" + bytes(80))), rng)
    elif how == "other":
        data, how = odd_file(rng)
    elif how == "packed":
        data = repacked(original)
    path.write_bytes(data)
    return how


def odd_file(rng: Rng) -> tuple[bytes, str]:
    """Files that are no checkpoints at all."""
    import gzip
    import io
    import pickle

    whole, small = io.BytesIO(), io.BytesIO()
    torch.save({"state_dict": {}}, small)
    np.savez(whole, x=np.zeros(3))
    files = {
        "an empty checkpoint": small.getvalue(),
        "an npz": whole.getvalue(),
        "a pickle": pickle.dumps({"vaelab": {}}),
        "a pickle of random": pickle.dumps(random.Random(0)),
        "a gzip": gzip.compress(small.getvalue()),
        "zeros packed": packed_zeros(6 * 2**30, 31),
        "text": b"a checkpoint",
    }
    name = pick(rng, list(files))
    return files[name], name


def repacked(original: Path) -> bytes:
    """The same archive, with its members deflated."""
    import io

    file, whole = io.BytesIO(), io.BytesIO()
    # Written once more, with the sums that a run's own have not.
    torch.save(torch.load(original, map_location="cpu", weights_only=True), whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
    return file.getvalue()


# Content ----------------------------------------------------------------------------------------------------------

Content = dict[str, Any]


def entry_value(rng: Rng, content: Content) -> str:
    """A value of what vaelab keeps beside the weights, or a part of it, becomes odd."""
    entry, value = content["vaelab"], odd(rng)
    key = pick(rng, [*entry, "signature", "signature", "signature"])
    if key == "signature" and rng.random() < 0.8:
        inner = pick(rng, list(entry[key]))
        entry[key] = {**entry[key], inner: value}
        return f"signature.{inner}={told(value)}"
    entry[key] = value
    return f"{key}={told(value)}"


def without(rng: Rng, content: Content) -> str:
    """Something is not there, or something else is there, too."""
    where, name = pick(
        rng, ((content, "the checkpoint"), (content["vaelab"], "vaelab"), (content["vaelab"]["signature"], "signature"))
    )
    if rng.random() < 0.3:
        where["more"] = odd(rng)
        return f"{name} has more"
    key = pick(rng, list(where))
    del where[key]
    return f"{name} lacks {key}"


def top(rng: Rng, content: Content) -> str:
    """One of the parts of the checkpoint is something else."""
    key, value = pick(rng, ["vaelab", "state_dict", *content]), odd(rng)
    content[key] = value
    return f"{key} is {told(value)}"


def config_text(rng: Rng, content: Content) -> str:
    """The configuration's text is no configuration, damaged, or explodes."""
    text = content["vaelab"]["config"]
    how = pick(rng, ("text", "laughs", "bytes", "behind", "indented"))
    if how == "bytes":
        data, how = damaged(text.encode(), rng)
        text = data.decode(errors="replace")
    else:
        odd_text = pick(rng, TEXTS)
        text = {
            "text": odd_text,
            "laughs": LAUGHS + text,
            "behind": f"{text}{odd_text}",
            "indented": text.replace("\n", "\n "),
        }[how]
    content["vaelab"]["config"] = text
    return f"config: {how}"


def config_value(rng: Rng, content: Content) -> str:
    """Some settings of the configuration become odd, go, or come."""
    from omegaconf import OmegaConf

    config = OmegaConf.to_container(OmegaConf.create(content["vaelab"]["config"]))
    changed = [setting(rng, config) for _ in range(int(rng.integers(1, 4)))]
    content["vaelab"]["config"] = dumped(config)
    return f"config: {', '.join(changed)}"[:150]


def setting(rng: Rng, config: Any) -> str:
    """Change one setting of a nested mapping in place, and say which."""
    paths = leaves(config)
    path, value = pick(rng, paths), odd(rng)
    node, key = config, path[-1]
    for name in path[:-1]:
        node = node[name]
    if key == "_target_" or rng.random() < 0.15:
        key, value = "_target_", pick(rng, TARGETS)
    elif rng.random() < 0.1:
        key = pick(rng, ("_partial_", "_args_", "_recursive_", "_convert_", "more", "_call_", ""))
    elif rng.random() < 0.1:
        node.pop(key, None)
        return f"without {'.'.join(map(str, path))}"
    node[key] = value
    return f"{'.'.join(map(str, [*path[:-1], key]))}={told(value)}"


def leaves(config: Any) -> list[list[Any]]:
    """The ways to every setting in a nested mapping, groups too."""
    found = []
    for key, value in config.items():
        found.append([key])
        if isinstance(value, dict):
            found += [[key, *rest] for rest in leaves(value)]
    return found


def dumped(config: Any) -> str:
    """As YAML, whatever is in it."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Says everything in full."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    return yaml.dump(config, Dumper=Plain, sort_keys=False)


def attack(rng: Rng, content: Content) -> str:
    """An object of vaelab's own that would write into the user's home."""
    from omegaconf import OmegaConf

    config: Any = OmegaConf.to_container(OmegaConf.create(content["vaelab"]["config"]))
    writer = {"_target_": "vaelab.data.writers.NpyWriter", "path": str(Path("~/precious").expanduser())}
    place = pick(
        rng, ("architecture", "latent", "likelihood", "objective", "variant", "optimizer", "beta_schedule", "dataset")
    )
    config[place] = {**CANARY, "self": writer, "piece": {"_target_": "numpy.zeros", "shape": 3}}
    if place == "dataset":
        config[place] = {"_target_": "vaelab.dataset.sine.Sine", "codec": config[place]}
    content["vaelab"]["config"] = dumped(config)
    return f"an attack in {place}"


def weights(rng: Rng, content: Content) -> str:
    """Weights hold what is no number, have another shape or type, or are not there."""
    state = content["state_dict"] = dict(content["state_dict"])
    names = some(rng, list(state), 3)
    how = pick(rng, list(WEIGHTS))
    for name in names:
        state[name] = WEIGHTS[how](state[name])
    for name in names if how == "another name" else []:
        state[f"{name}x"] = state.pop(name)
    return f"weights: {how}"


WEIGHTS: dict[str, Callable[[torch.Tensor], Any]] = {
    "nan": lambda weight: torch.full_like(weight, torch.nan),
    "inf": lambda weight: torch.full_like(weight, torch.inf),
    "huge": lambda weight: torch.full_like(weight, 3e38),
    "double": lambda weight: weight.double(),
    "half": lambda weight: weight.half(),
    "whole": lambda weight: weight.long(),
    "complex": lambda weight: weight.to(torch.complex64),
    "truths": lambda weight: weight > 0,
    "transposed": lambda weight: weight.t() if weight.ndim == 2 else weight[None],
    "empty": lambda weight: weight.flatten()[:0],
    "wide": lambda weight: torch.zeros(1).expand(10**9),
    "sparse": lambda weight: weight.to_sparse(),
    "meta": lambda weight: weight.to("meta"),
    "a list": lambda weight: weight.tolist(),
    "none": lambda weight: None,
    "a number": lambda weight: 1.0,
    "another name": lambda weight: weight,
    "wants a gradient": lambda weight: torch.nn.Parameter(weight.float()),
}


def odd(rng: Rng) -> Any:
    """A value of no type in particular."""
    return copy.deepcopy(pick(rng, ODD))


def told(value: Any) -> str:
    """A value in a few words."""
    return ascii(value)[:40]


CHANGES = (
    *(entry_value, entry_value, entry_value, without, top, config_text, config_text),
    *(config_value, config_value, config_value, config_value, attack, weights, weights, weights),
)


def warm() -> None:
    """Compose once, which finds Hydra's plugins."""
    _doors.composed(*_doors.SINE)


KIND = Kind(make, _doors.HEAVY, warm, prepare)
