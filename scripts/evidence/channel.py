"""Wireless channels that fade: samples from the prior are distributed as the simulator's own.

The baseline draws every tap by itself; the ceiling is as many channels of the simulator's own, against the same
held-out ones. Paths go from short to long delay spreads; their baseline mixes the taps of both ends.
"""

from __future__ import annotations

from evidence._bench import Bench
from evidence._claims import Claim, Range, at_least, at_most


def claims(bench: Bench) -> list[Claim]:
    """Distances of the samples, then the paths, then what the codes tell of the known factors."""
    case = bench.case("experiment=channel", *bench.pick([], ["trainer.max_epochs=5"]))

    def row(told: str, measure: str, full: Range, quick: Range, *others: str) -> Claim:
        names = dict(zip(others[::2], others[1::2], strict=True))
        baselines = {label: f"channel/{other}" for label, other in names.items()}
        return case.row(told, f"channel/{measure}", bench.pick(full, quick), baselines)

    def distance(told: str, measure: str, full: Range, quick: Range) -> Claim:
        taps, own = f"baseline/independent_{measure}", f"ceiling/simulator_{measure}"
        return row(told, measure, full, quick, "single taps", taps, "simulator", own)

    def path(told: str, measure: str, full: Range, quick: Range) -> Claim:
        return row(told, measure, full, quick, "mixed taps", f"baseline/straight_{measure}")

    def told_factor(told: str, measure: str, full: Range, quick: Range) -> Claim:
        return row(told, measure, full, quick, "plain estimate", f"baseline/estimate_{measure}")

    return [
        distance("delay spread: KS distance", "delay_spread_ks", at_most(0.05), at_most(0.5)),
        distance("antenna correlation: KS distance", "antenna_correlation_ks", at_most(0.06), at_most(0.7)),
        distance("power delay profile: error (dB)", "profile_error_db", at_most(0.45), at_most(9)),
        path("share of paths that never fall", "path_monotone", at_least(0.99), at_least(0.3)),
        path("dip of power on the way (dB)", "path_dip_db", at_most(0.5), at_most(3)),
        told_factor("delay spread told by the code: R²", "delay_spread_r2", at_least(0.96), at_least(0.3)),
        told_factor("angular spread told by the code: R²", "angular_spread_r2", at_least(0.9), at_least(0)),
    ]
