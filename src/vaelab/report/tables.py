"""What is told in the terminal: what the data are, before the first step, and how good the model is, at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from vaelab.report.console import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from vaelab.data.items import LeftOut
    from vaelab.data.module import DataModule, Found

SHOWN = 5


def tell_found(found: Found, data: DataModule) -> None:
    """Items, shape, range in the user's units, labels, split, what was decided on the way, what is left out."""
    console = Terminal(soft_wrap=True)
    signature, counts = found.signature, found.counts
    rate = f" at {signature.sample_rate:g} Hz" if signature.sample_rate else ""
    shape = " x ".join(map(str, signature.raw_shape))
    encoded = " x ".join(map(str, found.shape))
    console.print(f"found {sum(counts.values()):,} {signature.kind}s of {shape}{rate}; the net sees {encoded}")
    low, high = (end.item() for end in data.items.raw.aminmax())
    console.print(f"  range [{low:.4g}, {high:.4g}]   labels {_labels(data)}")
    console.print("  split " + "   ".join(f"{name} {count:,}" for name, count in counts.items()))
    for note in data.items.notes:
        console.print(f"  {note}")
    _tell_left_out(console, data.items.left_out)


def _labels(data: DataModule) -> str:
    names = data.items.label_names
    if data.items.label is None:
        return "none"
    return f"{len(names)}: {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _tell_left_out(console: Console, left_out: list[LeftOut]) -> None:
    if left_out:
        console.print(f"  left out {len(left_out)}:")
    for name, reason in left_out[:SHOWN]:
        console.print(f"    {name}: {reason}")
    if len(left_out) > SHOWN:
        console.print(f"    … and {len(left_out) - SHOWN} more, listed in left_out.txt in the run directory")


def tell_metrics(metrics: dict[str, float], title: str) -> None:
    """A table of a run's measures, each with its own baselines in the same row; the other baselines follow."""
    table = Table(title=title, title_justify="left", show_edge=False)
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("baselines and ceilings")
    rows = {name: beside(name, metrics) for name in metrics if not is_beside(name)}
    placed = {other for others in rows.values() for other in others.values()}
    for name, others in rows.items():
        words = "  ".join(f"{label} {number(metrics[other])}" for label, other in others.items())
        table.add_row(name, number(metrics[name]), words)
    for name in metrics:
        if is_beside(name) and name not in placed:
            table.add_row(name, number(metrics[name]), "")
    Terminal().print(table)


def collapse_warning(active_units: int, dims: int) -> str | None:
    """One line with a remedy where latent units have died; None where at least half live."""
    if 2 * active_units >= dims:
        return None
    which = "all" if active_units == 0 else f"{dims - active_units} of"
    return (
        f"{which} {dims} latent units are dead: if that is too many, lower beta_schedule.value, warm up with "
        "beta_schedule=linear, or give each its share with objective.free_bits=0.25"
    )


def early_warning(best_epoch: int, epochs: int) -> str | None:
    """One line with a remedy where the best epoch is among the first tenth of them; None where it is not."""
    if 10 * best_epoch > epochs:
        return None
    return (
        f"best at epoch {best_epoch} of {epochs}, and no better from there on: if it overfits, fewer epochs, a smaller "
        "net or more data"
    )


def samples_note(metrics: dict[str, float]) -> str | None:
    """One line on what `sample/…` were measured in and how many items; None where there are none."""
    if "sample/frechet" not in metrics:
        return None
    items, size = (int(metrics[f"sample/{name}"]) for name in ("items", "features"))
    which = "of a classifier of the classes" if "sample/class_entropy" in metrics else "that are principal components"
    return (
        f"sample/…: {items:,} items against as many of the test; frechet, density, coverage in {size} features {which}"
    )


def is_beside(name: str) -> bool:
    """Whether a measure is a baseline or a ceiling."""
    return "/baseline/" in name or "/ceiling/" in name


def beside(name: str, metrics: Iterable[str]) -> dict[str, str]:
    """The baselines of a measure, label → name: `image/baseline/pca_psnr_db` stands beside `image/psnr_db` as pca."""
    prefix, _, measure = name.partition("/")
    found = {}
    for other in filter(is_beside, metrics):
        kind, _, rest = other.removeprefix(f"{prefix}/").partition("/")
        if other.startswith(f"{prefix}/") and (rest == measure or rest.endswith(f"_{measure}")):
            found[rest.removesuffix(measure).rstrip("_") or kind] = other
    return found


def number(value: float) -> str:
    """Four digits, or a whole number with its thousands parted."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 100 else f"{value:.4g}"
