import pytest

from vaelab.errors import UserError
from vaelab.task.base import check_able
from vaelab.task.denoise import Denoise
from vaelab.task.interpolate import Interpolate
from vaelab.task.prior import Prior
from vaelab.task.score import Score


def test_a_task_that_a_model_cannot_do_is_refused_in_one_line_with_those_that_it_can(tiny):
    net = tiny("digits", "variant=gan").variant
    line = r"^task=interpolate needs a code of every item, and variant=gan has none: [^\n]+=manifold, prior, stream$"
    with pytest.raises(UserError, match=line):
        check_able(Interpolate(), "interpolate", net)
    with pytest.raises(UserError, match=r"^task=score needs a density of items[^\n]+$"):
        check_able(Score(), "score", net)
    check_able(Prior(), "prior", net)


def test_a_vae_does_all_but_denoise_and_a_denoiser_that_too(tiny):
    with pytest.raises(UserError, match=r"^task=denoise needs a clean partner [^\n]+ score, stream, [^\n]+$"):
        check_able(Denoise(), "denoise", tiny("sine").variant)
    for task in (Denoise(), Score(), Interpolate(), Prior()):
        check_able(task, "it", tiny("radio").variant)


def test_a_task_of_ones_own_that_names_no_need_does_with_any_model(tiny):
    class Count:
        def __call__(self, run, out):
            pass

    check_able(Count(), "count", tiny("digits", "variant=gan").variant)


def test_a_method_of_ones_own_is_told_what_it_lacks_for_a_task(tiny):
    net = tiny("digits", "variant=gan").variant
    written = dict.fromkeys(("posterior", "examine"), lambda self, given: given)
    net.__class__ = type("Own", (type(net),), {**written, "__module__": "mine"})
    line = r"^task=interpolate needs [^\n]+ has none \(HasCode wants codes, realisations of it\): there are [^\n]+$"
    with pytest.raises(UserError, match=line):
        check_able(Interpolate(), "interpolate", net)
