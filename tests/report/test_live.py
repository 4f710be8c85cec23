import io

import numpy as np
from rich.console import Console

from vaelab.report.live import braille, half_blocks, stream_windows


def plain(renderable):
    console = Console(file=io.StringIO(), width=60)
    console.print(renderable)
    return console.file.getvalue()


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right():
    rows = braille([(np.linspace(0, 1, 40), "red")], columns=4, rows=2).plain.split("\n")
    assert [len(row) for row in rows] == [4, 4]
    assert rows[1][0] != "\u2800" and rows[0][3] != "\u2800" and rows[0][0] == rows[1][3] == "\u2800"


def test_single_dots_have_the_bits_of_their_places():
    for place, character in ((0, "\u2801"), (1, "\u2880")):
        line = np.full(2, np.nan)
        line[place] = 1.0 - place
        assert braille([(line, "red")], 1, 1, (0, 1), joined=False).plain == character


def test_the_last_line_is_on_top_and_empty_places_have_no_colour():
    text = braille([(np.ones(9), "green"), (np.ones(9), "red")], 5, 2, (0, 1))
    assert {str(span.style) for span in text.spans if span.style} == {"red"}
    assert text.plain.split("\n")[1] == "\u2800" * 5


def test_a_picture_is_two_pixels_to_a_character():
    picture = np.zeros((3, 4, 4))
    picture[0, 0] = 1.0
    text = half_blocks(picture, columns=4, rows=2)
    assert text.plain == "▀▀▀▀\n▀▀▀▀"
    first, last = text.spans[0].style, text.spans[-1].style
    assert first.color.triplet == (255, 0, 0) and first.bgcolor.triplet == last.color.triplet == (0, 0, 0)


def test_the_windows_hold_codes_waves_pictures_or_nothing_yet():
    ring = np.random.default_rng(0).normal(size=(30, 4))
    for items in (None, np.ones((2, 1, 9)), np.ones((2, 1, 5, 5))):
        shown = plain(stream_windows([ring, ring], items, told="counters", columns=40, limit=2.0))
        assert "codes being filled" in shown and "counters" in shown
        assert max(map(len, shown.splitlines())) == 44


def test_the_channels_of_a_wave_are_drawn_apart_and_their_colours_named():
    ring, wave = np.zeros((5, 2)), np.array([[[1.0] * 9, [-1.0] * 9]])
    one, two = (plain(stream_windows([ring, ring], x, told="", columns=40, limit=2.0)) for x in (wave[:, :1], wave))
    assert "channels: 1 red, 2 green" in two and "channels" not in one
