import io
import os
import re
import shlex
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
KINDS = ["checkpoints", "idx", "overrides", "pictures", "resume", "sound", "tables"]

# Kinds of inputs whose outcome is known.
TOYS = {
    "fine": "return Reading()",
    "leaves": "return Reading(left_out=[('row 1', 'too short')])",
    "refuses": "raise UserError('no such thing: give another')",
    "full": "raise OSError(28, 'No space left on device', 'a file')",
    "wordy": "return Reading(left_out=[('row 1', 'no such thing\\nand more')])",
    "mute": "return Reading(left_out=[('row 1', '')])",
    "raises": "return {}['key']",
    "leaving": "raise SystemExit(3)",
    "dies": "os.kill(os.getpid(), 11)",
    "sleeps": "time.sleep(100)",
    "spins": "sum(1 for k in iter(int, 1))",
    "eats": "return [time.sleep(0.01) or b'x' * 2**26 for k in range(100)] and Reading()",
    "frees": "hog = b'x' * 2**30; del hog; return Reading()",
    "lies": "return Reading(values=2 * numbers)",
    "chance": "return [Reading, lambda: {}['key'], lambda: Reading(values=2 * numbers)][int(rng.integers(3))]()",
}
TOY = """
import os, time
import numpy as np
from fuzzing._kind import Input, Kind, Reading
from vaelab.errors import UserError

def make(rng, folder, ready):
    numbers = rng.normal(size=3)
    (folder / "input.txt").write_text(str(numbers))
    def read():
        {body}
    def check(reading):
        return "" if not reading.values.size or np.array_equal(reading.values, numbers) else "other numbers"
    return Input(f"three numbers, {{numbers[0]:.3f}}", read, check)

KIND = Kind(make)
"""
RUN = """
import sys
sys.path[:0] = [{scripts!r}]
import fuzzing
fuzzing.__path__.append({toys!r})
import fuzz
sys.exit(fuzz.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory):
    """The script, with the toys beside the real kinds: words of a command line in, exit status and lines out."""
    toys = tmp_path_factory.mktemp("toys")
    for name, body in TOYS.items():
        (toys / f"{name}.py").write_text(TOY.format(body=body))

    def run(*words, code=RUN):
        script = code.format(scripts=str(SCRIPTS), toys=str(toys))
        environment = {**os.environ, "NO_COLOR": "1"}
        command = [sys.executable, "-c", script, *map(str, words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, cwd=toys)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout

    return run


@pytest.fixture(scope="module")
def played(fuzz):
    """What is said of every toy, two inputs each, with short limits."""
    status, out = fuzz(*(name for name in TOYS if name != "chance"), "--n", 2, "--hang", 1.5, "--memory", 0.5)
    return status, out


def row(out, kind):
    """Of the last table: inputs, read, left out, refused, tracebacks, hangs, memory, changed."""
    line = next(line for line in out.splitlines() if "│" in line and line.split("│")[0].strip() == kind)
    return [int(cell) for cell in line.split("│")[1:]]


def told(out, kind):
    """The lines below a kind's, one for each distinct failure."""
    behind = out.split(f"{kind}: 2 inputs", 1)[1].splitlines()[1:]
    return [line.strip() for line in behind[: next(k for k, line in enumerate(behind) if not line.startswith("  "))]]


def test_what_is_read_left_out_or_refused_in_one_line_is_counted_and_no_failure(played):
    _, out = played
    assert row(out, "fine") == [2, 2, 0, 0, 0, 0, 0, 0] and not told(out, "fine")
    assert row(out, "leaves") == [2, 0, 2, 0, 0, 0, 0, 0]
    assert row(out, "refuses") == row(out, "full") == [2, 0, 0, 2, 0, 0, 0, 0]


@pytest.mark.parametrize("kind", ["raises", "leaving", "dies", "wordy", "mute"])
def test_a_planted_traceback_or_refusal_of_several_lines_is_found(played, kind):
    assert row(played[1], kind) == [2, 0, 0, 0, 2, 0, 0, 0]


def test_an_exception_is_told_with_its_last_line_and_its_place_once_for_all_that_are_alike(played):
    (line,) = told(played[1], "raises")
    assert line.startswith("traceback (2): KeyError: 'key' at ") and "raises.py:" in line and "in read" in line
    assert "three numbers" in line and "status -11" in told(played[1], "dies")[0]


@pytest.mark.parametrize("kind", ["sleeps", "spins"])
def test_a_planted_hang_is_found_and_where_it_hangs(played, kind):
    assert row(played[1], kind) == [2, 0, 0, 0, 0, 2, 0, 0]
    # A busy machine may find it in another line the second time.
    assert re.match(r"hang \(\d\): over 1.5 s at \S+:\d+ in ", told(played[1], kind)[0])


@pytest.mark.parametrize("kind", ["eats", "frees"])
def test_planted_memory_use_is_found_even_if_it_is_given_back(played, kind):
    assert row(played[1], kind) == [2, 0, 0, 0, 0, 0, 2, 0]


def test_a_planted_silent_change_is_found(played):
    assert row(played[1], "lies") == [2, 0, 0, 0, 0, 0, 0, 2]
    assert "changed (2): other numbers" in told(played[1], "lies")[0]


def test_the_exit_status_says_whether_anything_failed(fuzz, played):
    assert played[0] == 1
    assert fuzz("fine", "leaves", "refuses", "--n", 2)[0] == 0


def test_the_same_seed_gives_the_same_inputs_and_another_others(fuzz):
    def lines(*words):
        return [line for line in fuzz("chance", "--n", 30, *words)[1].splitlines() if "seconds" not in line]

    assert lines() == lines() and lines() != lines("--seed", 1)
    assert min(row("\n".join(lines()), "chance")[k] for k in (1, 4, 7)) > 0


def test_the_command_that_is_told_shows_the_failure_again(fuzz):
    _, out = fuzz("chance", "--n", 30, "--seed", 3)
    commands = [line.split(" | ")[-1] for line in out.splitlines() if "python scripts/fuzz.py" in line]
    assert len(commands) == 2
    for command in commands:
        status, again = fuzz(*shlex.split(command)[2:])
        assert status == 1 and command in again


def test_what_failed_is_kept_with_the_reason(fuzz, tmp_path):
    fuzz("lies", "fine", "--n", 2, "--keep", tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["lies-0-0", "lies-0-1"]
    kept = tmp_path / "kept" / "lies-0-0"
    assert (kept / "input.txt").is_file() and "other numbers" in (kept / "what.json").read_text()


def test_the_seconds_are_spread_over_the_kinds(fuzz):
    _, out = fuzz("fine", "leaves", "--seconds", 6)
    assert min(row(out, kind)[0] for kind in ("fine", "leaves")) > 10


@pytest.mark.parametrize("words", [["tabels"], ["--n", "0"], ["--seed", "-1"]])
def test_a_mistake_on_the_command_line_is_refused(module, words, capsys):
    with pytest.raises(SystemExit) as left:
        module("fuzz").arguments(words)
    assert left.value.code == 2 and words[0] in capsys.readouterr().err


# The kinds --------------------------------------------------------------------------------------------------------

# The second time, all tables come out at twice their size.
CHANGED = """
from vaelab.dataset.signal_table import SignalTable
load = SignalTable.load
def doubled(self):
    items = load(self)
    items.raw *= 2
    return items
SignalTable.load = doubled
fuzz.main(["tables", "--n", "12"])
"""


@pytest.fixture(scope="module")
def short(fuzz):
    """A few inputs of every real kind, and some tables with a planted change."""
    code = RUN.replace("sys.exit(", "print(").rstrip() + "\nprint('CHANGED')" + CHANGED
    _, out = fuzz(*KINDS, "--n", 2, code=code)
    return out.split("CHANGED")


def test_every_kind_is_found_and_says_what_may_not_change(module):
    assert set(KINDS) <= set(module("fuzz").kinds())
    assert all(len(module(f"fuzzing.{name}").__doc__) > 200 for name in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_short_run_of_each_kind_works(short, kind):
    total, *outcomes = row(short[0], kind)
    assert total == 2 and sum(outcomes) == 2


def test_numbers_that_vaelab_changes_are_found(short):
    assert row(short[1], "tables")[-1] > 3


def test_a_plain_form_is_read_by_numpy_as_it_is_meant(module):
    tables, rng = module("fuzzing.tables"), np.random.default_rng(0)
    rows = tables.signals(rng)
    plain = tables.Rows(rows.values)
    form = tables.Form(delimiter=";", end="\r\n", number="%.8e", before="# made by hand", encoding="utf-16")
    text = form.text(tables.cells(plain)).decode("utf-16")
    np.testing.assert_allclose(np.loadtxt(io.StringIO(text), delimiter=";"), rows.values[:, 0], rtol=1e-7)


def test_a_row_may_be_missing_only_with_a_word_and_none_may_change(module):
    tables, reading = module("fuzzing.tables"), module("fuzzing._kind").Reading
    rows = tables.Rows(np.arange(12.0).reshape(3, 1, 4), ["a", "b", "a"])
    check, values = tables.rows_kept(rows), rows.values.astype(np.float32)
    left_out = [("row 2", "too short")]
    assert check(reading(values, ["a", "b", "a"])) == ""
    assert check(reading(values[[0, 2]], ["a", "a"], left_out)) == ""
    assert "missing" in check(reading(values[[0, 2]], ["a", "a"]))
    assert "no row" in check(reading(2 * values, ["a", "b", "a"]))
    assert "label" in check(reading(values, ["a", "a", "a"]))
    assert "no row" in check(reading(values[[2, 0]], ["a", "a"], left_out))
    loose = tables.rows_kept(rows, {1})
    changed = np.where(values == 5, 99, values)
    assert loose(reading(changed, ["a", "b", "a"])) == "" == loose(reading(values[[0, 2]], ["a", "a"], left_out))
    assert "no row" in check(reading(changed, ["a", "b", "a"]))
    assert "shape" in check(reading(values.reshape(2, 1, 6), ["a", "b"]))


def test_zeros_are_packed_into_what_unpacks_to_at_least_as_many(module):
    packed = module("fuzzing._bytes").packed_zeros(50 * 2**20, 15)
    unpacked = zlib.decompress(packed)
    assert len(packed) < 2**18 and 50 * 2**20 <= len(unpacked) < 60 * 2**20 and not any(unpacked[:: 2**10])


def test_the_same_chance_damages_the_same_bytes(module):
    damages = module("fuzzing._bytes")
    data = bytes(range(256))
    once, again = ([damages.damaged(data, np.random.default_rng(k)) for k in range(60)] for _ in range(2))
    assert once == again
    assert {name for _, name in once} == {damage.__name__ for damage in damages.DAMAGES}
    assert sum(changed == data for changed, _ in once) <= 3
