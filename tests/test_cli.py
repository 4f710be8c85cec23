import pytest

from vaelab.cli import in_order


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        ("seed=0 -m seed=0,1", "-m seed=0 seed=0,1"),
        ("a=1 --cfg job b=2 ~c", "--cfg job a=1 b=2 ~c"),
        ("latent --multirun", "--multirun latent"),
        ("a=1 --config-dir x=y b=2 -i config", "--config-dir x=y -i config a=1 b=2"),
        ("--info a=1 --resolve", "--info --resolve a=1"),
        ("-m b=1 a=2", "-m b=1 a=2"),
        ("", ""),
    ],
)
def test_overrides_stand_together_behind_the_options_in_their_own_order(words, ordered):
    assert in_order(words.split()) == ordered.split()


def test_a_mistake_is_one_line_whatever_the_name_of_the_file():
    from vaelab.errors import UserError

    assert str(UserError("x\ny\x1b[2J\u2028.png is no picture")) == r"x\ny\x1b[2J\u2028.png is no picture"
