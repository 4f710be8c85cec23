import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from vaelab.errors import UserError
from vaelab.overrides import as_meant, readable, typed


def value_of(word):
    return OverridesParser.create().parse_override(word).value()


NAMES = [
    *("Müller", "a(1)", "a&b", "x=y", "a,b", "it's", 'say "a"', "[old]", "{a}", "#1", "a;b", "a!", "日本", "100%"),
    *("back\\slash", "ends\\", "two  spaces", "a:b", "b\udcffd", "2024", "1e5", "range(1,2)x"),
]


@pytest.mark.parametrize("key", ["dataset.root", "task.file", "run", "resume", "out", "hydra.run.dir", "+dataset.file"])
@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_read_as_it_was_typed(key, name):
    word = as_meant(f"{key}=/home/x/{name}")
    assert value_of(word) == f"/home/x/{name}"
    assert as_meant(word) == word


@pytest.mark.parametrize("name", [*NAMES, "null", "true", "[a]", "range(1,2)", "'quoted'", "${a", " x"])
def test_a_name_that_is_there_is_that_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert value_of(as_meant(f"task.file={name}")) == name


@pytest.mark.parametrize("word", ["seed=3", "latent=circle", "a=[1,2]", "a={b:1}", "a=null", "a='x y'", "~a", "latent"])
def test_what_hydra_reads_stays_as_it_is(word):
    assert as_meant(word) == word


def test_numbers_are_names_of_folders_and_nothing_else():
    assert value_of(as_meant("out=2024")) == "2024"
    assert value_of(as_meant("seed=2024")) == 2024
    assert value_of(as_meant("out=null")) is None


def test_home_is_where_it_is(monkeypatch):
    monkeypatch.setenv("HOME", "/home/Müller")
    assert value_of(as_meant("resume=~/runs/1")) == "/home/Müller/runs/1"
    assert value_of(as_meant("task.files=[~/a.png,b]")) == ["~/a.png", "b"]


def test_a_list_of_odd_names_is_a_list():
    assert value_of(as_meant("task.files=[a b.png,ü.png,c(1).png]")) == ["a b.png", "ü.png", "c(1).png"]


def test_a_sweep_stays_a_sweep():
    swept = readable(["-m", "seed=0,1", "dataset.root=/ü,/b", "out=a,b", "hydra.sweep.dir=a,b"])
    assert swept[:3] == ["seed=0,1", "dataset.root='/ü',/b", "out=a,b"]
    assert value_of(swept[3]) == "a,b"


def test_overrides_behind_an_option_count():
    assert readable(["seed=0", "-m", "latent.dim=1,2"]) == ["seed=0", "latent.dim=1,2", "-m"]
    assert readable(["--cfg", "job", "seed=0", "-cd", "x"]) == ["seed=0", "--cfg", "job", "-cd", "x"]


@pytest.mark.parametrize("words", [["--foo"], ["--cfg", "x"], ["--cfg"], ["--experimental-rerun", "/nowhere"]])
def test_an_option_that_there_is_not_is_told(words):
    with pytest.raises(UserError, match=words[0]):
        readable(words)


@pytest.mark.parametrize("name", NAMES)
def test_a_hint_can_be_pasted(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    (word,) = shlex.split(typed("run", name))
    assert value_of(as_meant(word)) == name
