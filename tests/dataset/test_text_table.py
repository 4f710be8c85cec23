import csv

import numpy as np
import pytest

from vaelab.dataset.text_table import read_text
from vaelab.errors import UserError

SINES = np.round(np.sin(np.linspace(0, 12, 32) + np.linspace(0, 6, 12)[:, None]), 4)


def write(path, *lines, encoding="utf-8"):
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def joined(row, mark=","):
    return mark.join(f"{value:.4f}" for value in row)


ROWS = [joined(row) for row in SINES]


@pytest.mark.parametrize(
    "header",
    [
        ",".join(map(str, range(32))),
        ",".join(map(str, range(1, 33))),
        ",".join(f"{k * 0.01:g}" for k in range(32)),
        ",".join(f"{k / 3:.2f}" for k in range(32)),
        ",".join(str(4000 - 2 * k) for k in range(32)),
    ],
)
def test_a_first_row_that_counts_unlike_the_rest_is_a_header_and_told(tmp_path, header):
    text = read_text(write(tmp_path / "a.csv", header, *ROWS))
    np.testing.assert_allclose(text.values, SINES)
    assert text.notes == [f"row 1 counts ({', '.join(header.split(',')[:3])}, …): taken as a header"]


def test_a_header_that_counts_is_one_with_the_label_by_number_and_stands_only_once(tmp_path):
    header = ",".join(map(str, range(32))) + ",class"
    rows = [f"{row},{'ab'[k % 2]}" for k, row in enumerate(ROWS)]
    text = read_text(write(tmp_path / "a.csv", header, *rows[:6], header, *rows[6:]), label=-1)
    np.testing.assert_allclose(text.values, SINES)
    assert text.labels == list("abababababab") and dict(text.left_out) == {"row 8": "is the header once more"}


def test_rows_that_all_count_are_signals(tmp_path):
    ramps = np.arange(32.0) * np.arange(1, 13)[:, None]
    assert read_text(write(tmp_path / "a.csv", *map(joined, ramps))).values.shape == (12, 32)


@pytest.mark.parametrize("line", ["1,2,3", "0,1,2", "3,4,5,6,7"])
def test_a_few_whole_numbers_that_count_by_chance_are_a_signal(tmp_path, line):
    other = ",".join("9" * len(line.split(",")))
    assert len(read_text(write(tmp_path / "a.csv", line, other, other)).values) == 3


@pytest.mark.parametrize("corner", ["", "Unnamed: 0", "index"])
@pytest.mark.parametrize("start", [0, 5])
def test_the_index_that_pandas_writes_is_no_sample(tmp_path, corner, start):
    header = ",".join([corner, *map(str, range(32))])
    rows = [f"{start + k},{row}" for k, row in enumerate(ROWS)]
    text = read_text(write(tmp_path / "a.csv", header, *rows))
    np.testing.assert_allclose(text.values, SINES)
    assert text.notes[-1] == "column 0 counts the rows: left out"


def test_an_index_in_any_order_under_an_empty_name_is_no_sample(tmp_path):
    order = np.random.default_rng(0).permutation(12)
    rows = [f"{k},{row}" for k, row in zip(order, ROWS, strict=True)]
    text = read_text(write(tmp_path / "a.csv", "," + ",".join(f"t{k}" for k in range(32)), *rows))
    np.testing.assert_allclose(text.values, SINES)


def test_a_first_column_that_counts_without_a_header_is_an_index_and_others_stay(tmp_path):
    rows = [f"{k},{row}" for k, row in enumerate(ROWS)]
    np.testing.assert_allclose(read_text(write(tmp_path / "a.csv", *rows)).values, SINES)
    grid = [f"{k},{k + 1},{k + 2}" for k in range(12)]
    assert read_text(write(tmp_path / "b.csv", *grid)).values.shape == (12, 3)


def test_names_of_rows_as_r_writes_them_are_left_out(tmp_path):
    header = " ".join(f'"V{k}"' for k in range(32))
    rows = [f'"beat {k}" {joined(row, " ")}' for k, row in enumerate(SINES)]
    text = read_text(write(tmp_path / "a.txt", header, *rows), label=None)
    np.testing.assert_allclose(text.values, SINES)
    assert "column 0 names the rows: left out" in text.notes


@pytest.mark.parametrize("mark", [";", "\t", " ", "|"])
def test_decimal_commas_are_read_and_told(tmp_path, mark):
    lines = [joined(row, mark).replace(".", ",") for row in SINES]
    text = read_text(write(tmp_path / "a.csv", *lines))
    np.testing.assert_allclose(text.values, SINES)
    assert text.notes == ["commas are decimal marks"]


def test_decimal_commas_in_quotes_or_in_one_column_are_read(tmp_path):
    quoted = [",".join(f'"{value:.4f}"'.replace(".", ",") for value in row) for row in SINES]
    np.testing.assert_allclose(read_text(write(tmp_path / "a.csv", *quoted)).values, SINES)
    column = read_text(write(tmp_path / "b.csv", "-0,3062", "0,0742", "1,5000"))
    assert column.values.tolist() == [[-0.3062], [0.0742], [1.5]]


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (["1.234,5;2,5", "3,5;1.000.000,25"], [[1234.5, 2.5], [3.5, 1000000.25]]),
        (['"1,234.5",2.5', '3.5,"1,000,000"'], [[1234.5, 2.5], [3.5, 1000000]]),
        (["−1.5 2", "3 4e−2"], [[-1.5, 2], [3, 0.04]]),
    ],
)
def test_thousands_and_minus_signs_as_they_are_printed_are_read(tmp_path, lines, values):
    assert read_text(write(tmp_path / "a.txt", *lines)).values.tolist() == values


@pytest.mark.parametrize("header", [[], ["a,b,"], ["a,b"]])
def test_a_mark_at_the_end_of_every_line_is_no_column_and_told(tmp_path, header):
    text = read_text(write(tmp_path / "a.csv", *header, "1,2.5,", "3,4,", "5,6,"))
    assert text.values.tolist() == [[1, 2.5], [3, 4], [5, 6]]
    assert text.notes == ["every line ends in a mark: what is empty is left out"]


def test_the_last_column_is_counted_without_a_mark_at_the_end_of_the_line(tmp_path):
    text = read_text(write(tmp_path / "a.csv", "1,2,x,", "3,4,y,", "5,6,x,"), label=-1)
    assert text.labels == ["x", "y", "x"] and text.values.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_mark_at_the_beginning_of_every_line_is_no_column(tmp_path):
    assert read_text(write(tmp_path / "a.csv", ",1,2.5", ",3,4")).values.tolist() == [[1, 2.5], [3, 4]]


def test_the_mark_is_the_one_that_gives_numbers_wherever_the_header_has_others(tmp_path):
    text = read_text(write(tmp_path / "a.csv", "time (s, UTC);value, raw;kind", "1.5;2;a, b", "3;4;c"), label="kind")
    assert text.values.tolist() == [[1.5, 2], [3, 4]] and text.labels == ["a, b", "c"]


def test_a_name_too_many_in_the_header_is_told_and_an_error_where_names_are_needed(tmp_path):
    file = write(tmp_path / "a.csv", "t0,t1,t2,class,more", "1,2,3.5", "4,5,6")
    text = read_text(file)
    assert text.values.tolist() == [[1, 2, 3.5], [4, 5, 6]] and "5 names, the rows have 3 columns" in text.notes[0]
    with pytest.raises(UserError, match=r"header has 5 names, the rows have 3 columns: [^\n]*dataset\.label") as told:
        read_text(file, label="class")
    assert "\n" not in str(told.value)


def test_a_comment_names_the_columns_when_a_name_is_asked_for(tmp_path):
    file = write(tmp_path / "a.csv", "# made by hand", "# a,b,class", "1,2,x", "3,4,y")
    text = read_text(file, label="class")
    assert text.labels == ["x", "y"] and text.values.tolist() == [[1, 2], [3, 4]]
    assert text.notes == ["the comment in row 2 names the columns"]


def test_rows_have_groups_by_name_or_number_beside_their_labels(tmp_path):
    file = write(tmp_path / "a.csv", "a,b,kind,patient", "1,2,x,p1", "3,4,y,p1", "5,6,x,p2")
    for label, group in (("kind", "patient"), (2, -1)):
        text = read_text(file, label, group)
        assert text.groups == ["p1", "p1", "p2"] and text.labels == ["x", "y", "x"] and text.values.shape == (3, 2)


def test_a_cell_without_end_costs_its_row_alone(tmp_path):
    limit = csv.field_size_limit()
    lines = ["1,2", '3,"' + "x" * (limit + 9), "5,6", "7," + "9" * (limit + 9), "8,9"]
    text = read_text(write(tmp_path / "a.csv", *lines))
    assert text.values.tolist() == [[1, 2], [5, 6], [8, 9]] and [left.name for left in text.left_out] == [
        "row 2",
        "row 4",
    ]
    assert all(len(reason) < 100 for _, reason in text.left_out)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path, encoding):
    file = write(tmp_path / "a.csv", "t0,t1,größe", "1,2.5,klein", "3,4,groß", encoding=encoding)
    text = read_text(file, label="größe")
    assert text.values.tolist() == [[1, 2.5], [3, 4]] and text.labels == ["klein", "groß"]


def test_a_text_in_latin_1_is_read_and_told(tmp_path):
    text = read_text(write(tmp_path / "a.csv", "1,2,café", "3,4,thé", encoding="latin-1"), label=2)
    assert text.labels == ["café", "thé"] and "Latin-1" in text.notes[0]


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 9, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "1,2\n3,4\n".encode("utf-16-le")]
)
def test_what_is_no_text_is_an_error_in_one_line(tmp_path, data):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.csv holds bytes that are no text[^\n]*$"):
        read_text(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("cell", "reason"),
    [("1e39", "1e+39, a number too large"), ("nan", "NaN"), ("-inf", "infinity"), ("1e-40", "too small")],
)
def test_what_single_precision_cannot_hold_is_named_for_what_it_is(tmp_path, cell, reason):
    text = read_text(write(tmp_path / "a.csv", "1,2", f"{cell},0", "3,4"))
    assert text.values.tolist() == [[1, 2], [3, 4]]
    assert [left.name for left in text.left_out] == ["row 2"] and reason in text.left_out[0].reason


def test_large_and_small_numbers_that_fit_are_read(tmp_path):
    text = read_text(write(tmp_path / "a.csv", "1e25,-3e38", "1e-30,0", "0,0"))
    assert text.values.tolist() == [[1e25, -3e38], [1e-30, 0], [0, 0]] and not text.left_out


def test_a_row_of_a_hundred_thousand_cells_is_read(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 100_000))
    text = read_text(write(tmp_path / "a.csv", *map(joined, values)))
    np.testing.assert_allclose(text.values, values, atol=5e-5)


def test_plain_and_careful_reading_agree(tmp_path):
    rows = [f"{row},{'uv'[k % 2]}" for k, row in enumerate(ROWS)]
    plain = read_text(write(tmp_path / "a.csv", *rows), label=-1)
    careful = read_text(write(tmp_path / "b.csv", *rows, "1,2"), label=-1)
    assert plain.labels == careful.labels and not plain.left_out and len(careful.left_out) == 1
    np.testing.assert_array_equal(plain.values, careful.values)


def test_a_table_that_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    file = write(tmp_path / "a.csv", *ROWS)
    monkeypatch.setattr("vaelab.memory.available", lambda: 1000)
    with pytest.raises(UserError, match=r"a\.csv takes [^\n]* KiB of memory, and [^\n]* are free[^\n]*$"):
        read_text(file)
