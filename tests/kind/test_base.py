from types import SimpleNamespace

import pytest

from vaelab.data.items import Signature
from vaelab.errors import UserError
from vaelab.kind.pictures import Pictures
from vaelab.kind.signals import Signals
from vaelab.kind.sines import Sines
from vaelab.report import judge
from vaelab.run import build
from vaelab.run.build import most_particular


@pytest.mark.parametrize(
    ("experiment", "kind"),
    [
        ("sine", "sines"),
        ("digits", "pictures"),
        ("radio", "traces"),
        ("channel", "channels"),
        ("audio", "sounds"),
    ],
)
def test_a_vae_of_anything_is_of_the_kind_that_its_data_are(tiny, experiment, kind):
    assert tiny(experiment, "variant=vae").variant.kind.name == kind


@pytest.mark.parametrize("experiment", ["sine", "digits", "channel", "audio"])
def test_the_vae_of_anything_is_the_vae_of_the_kind_to_the_last_digit(tiny, experiment):
    own, any_kind = tiny(experiment), tiny(experiment, "variant=vae")
    data = own.data()
    of_own, of_any = (
        judge.measures(run.variant, run.variant.examine(data.loader("test", 20)), data) for run in (own, any_kind)
    )
    assert of_own == of_any and own.variant.kind.prefix == any_kind.variant.kind.prefix


def test_a_kind_that_is_asked_for_is_taken_if_the_data_fit_it(tiny):
    assert tiny("sine", "variant=vae", "kind=signals").variant.kind.prefix == "signal"
    with pytest.raises(UserError, match=r"^kind=channels is for wireless channels; these are signals: use kind=auto$"):
        tiny("sine", "variant=vae", "kind=channels")


def test_a_variant_of_one_kind_takes_no_other(tiny):
    with pytest.raises(UserError, match=r"^variant=image is for pictures; these are signals: use variant=vae[^\n]+$"):
        tiny("sine", "variant=image")
    with pytest.raises(UserError, match=r"^variant=sine is for sine waves [^\n]+ kind=signals is not: use kind=auto$"):
        tiny("sine", "kind=signals")
    assert tiny("sine", "variant=signal").variant.kind.name == "signals"


class Heartbeats(Signals):
    name, what, prefix = "heartbeats", "heartbeats", "heart"
    samples = 30

    @classmethod
    def fits(cls, signature):
        return super().fits(signature) and "cycles" in signature.facts

    def sample_measures(self, x, item, data):
        return {"largest": float(x.max())}


def test_a_kind_of_ones_own_works_with_every_method(tiny):
    for variant in ("vae", "gan", "wgan_gp"):
        run = tiny("sine", f"variant={variant}")
        run.variant.kind = Heartbeats(run.variant.codec, run.signature)
        found = judge.measures(run.variant, judge.look(run.variant, run.data().loader("test")), run.data())
        assert "largest" in found


def offering(monkeypatch, *kinds):
    names = frozenset(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
    monkeypatch.setattr(build, "offered", lambda: {"kind": names})


def test_the_most_particular_kind_is_derived_from_the_others_and_else_there_is_a_question(monkeypatch):
    signature = Signature("signal", (1, 32), None, (), {"cycles": 3.0})
    offering(monkeypatch, Signals, Sines, Pictures)
    assert most_particular(signature) is Sines
    offering(monkeypatch, Signals, Sines, Heartbeats)
    with pytest.raises(UserError, match=r"^these signals are of kind=heartbeats, kind=signals, kind=sines: choose one"):
        most_particular(signature)
    offering(monkeypatch, Pictures)
    with pytest.raises(UserError, match=r"^these signals are of no kind that there is: choose one[^\n]+$"):
        most_particular(signature)


def test_what_a_kind_leaves_out_is_not_measured_and_not_drawn(tiny):
    from vaelab.kind.base import Kind

    class Bare(Kind):
        name, what, prefix = "bare", "anything", "bare"
        fits = classmethod(lambda cls, signature: True)

    run = tiny("digits")
    run.variant.kind = Bare(run.variant.codec, run.signature)
    run.variant.kl = SimpleNamespace()
    seen = judge.look(run.variant, run.data().loader("test", 10))
    assert judge.measures(run.variant, seen, run.data()) == judge.quick_measures(run.variant, seen, run.data()) == {}
    assert judge.figures(run.variant, seen) == {}
