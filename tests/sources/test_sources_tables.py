"""CSV, TSV and parquet."""

import csv
import gzip
import io

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunelab.errors import DataError

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5), end=st.sampled_from(["\n", "\r\n"]))
def test_what_the_csv_module_writes_is_read_back_whole(read, records, end):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("title", "content"), *records])
    rows = read("t.csv", text.getvalue())
    whole = [tuple(cell.replace("\r\n", "\n") for cell in record) for record in records]
    assert [tuple(row.value.values()) for row in rows] == whole


def test_a_quoted_line_break_keeps_the_lines_of_the_rows_behind_it_right(read):
    for name, comma in (("t.csv", ","), ("t.tsv", "\t")):
        rows = read(name, f'title{comma}content\n"a ""q""\nb"{comma}x\n\np{comma}q\n')
        assert [(row.value, row.origin.line) for row in rows] == [
            ({"title": 'a "q"\nb', "content": "x"}, 2),
            ({"title": "p", "content": "q"}, 5),
        ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_of_a_csv_is_the_one_of_its_header(read, separator):
    assert read("t.csv", f"a{separator}b\n1{separator}2: x\n")[0].value == {"a": "1", "b": "2: x"}


def test_pain_13_lone_carriage_returns_end_lines_in_header_and_rows(read):
    for content in ("a,b\r1,2\r3,4\r", "a,b\r1,2\n3,4\r\n"):
        rows = read("t.csv", content)
        assert [(row.value, row.origin.line) for row in rows] == [({"a": "1", "b": "2"}, 2), ({"a": "3", "b": "4"}, 3)]


def test_a_row_of_another_width_is_bad_and_names_the_columns(read):
    bad: list[DataError] = []
    rows = read("t.csv", "a,b\n1,2,3\n4\n5,6\n", bad)
    assert [row.value for row in rows] == [{"a": "5", "b": "6"}]
    assert [str(error) for error in bad] == [
        "t.csv:2: the row has 3 fields; expected 2 (a, b).",
        "t.csv:3: the row has 1 fields; expected 2 (a, b).",
    ]


def test_a_quote_that_is_never_closed_costs_its_own_line_only(read):
    bad: list[DataError] = []
    rows = read("t.csv", 'a,b\n"x,y\n1,2\n3,4\n', bad)
    assert [row.origin.line for row in rows] == [3, 4]
    assert [error.where for error in bad] == ["t.csv:2"]


def test_a_line_break_in_a_cell_is_a_line_feed_however_the_file_ends_its_lines(read):
    for end in ("\n", "\r\n"):
        rows = read("t.csv", f'a,b{end}"one\r\ntwo","x\ny\rz"{end}3,4{end}')
        assert [row.value for row in rows] == [{"a": "one\ntwo", "b": "x\ny\rz"}, {"a": "3", "b": "4"}]


def test_blanks_before_quotes_are_no_text_where_quoted_texts_are_written_so(read):
    rows = read("t.csv", 'a, b\n"Where?", "left, then \n ""right"""\nWhere else?, "there"\n')
    assert [(row.value, row.origin.line) for row in rows] == [
        ({"a": "Where?", "b": 'left, then \n "right"'}, 2),
        ({"a": "Where else?", "b": "there"}, 4),
    ]


@pytest.mark.parametrize("content", ["a,b\n1, x\n", 'a,b\n1, he said "no"\n', 'a,b\n1," ""x"", "\n'])
def test_blanks_stay_where_no_quoted_text_follows_them(read, content):
    (row,) = read("t.csv", content)
    assert row.value["b"].startswith(" ")


@pytest.mark.parametrize("opening", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_line_with_which_excel_names_the_separator_is_no_header(read, opening, end):
    (row,) = read("t.csv", end.join([opening, "prompt;completion", "a,b;c,d,e", ""]))
    assert (row.value, row.origin.line) == ({"prompt": "a,b", "completion": "c,d,e"}, 3)


def test_the_index_that_pandas_writes_gets_the_name_that_pandas_gives_it(read):
    (row,) = read("t.csv", ",prompt,completion\n0,q,a\n")
    assert row.value == {"Unnamed: 0": "0", "prompt": "q", "completion": "a"}


@pytest.mark.parametrize("separator", [",", ";"])
def test_empty_columns_that_excel_writes_at_the_end_are_no_columns(read, separator):
    bad: list[DataError] = []
    content = "q,a,,\n1,2,,\n3,4,,x\n5,6\nq,a,,\n7,8, ,\n".replace(",", separator)
    rows = read("t.csv", content, bad)
    assert [row.value for row in rows] == [{"q": "1", "a": "2"}, {"q": "7", "a": "8"}]
    assert [str(each).partition("; expected")[0] for each in bad] == [
        "t.csv:3: the cell in column 4 holds text, and the header does not name that column. "
        "Name column 4 in the first line, or empty the cell.",
        "t.csv:4: the row has 2 fields",
        "t.csv:5: the row is the header again",
    ]


def test_a_column_without_a_name_between_others_is_refused_with_its_place(read):
    with pytest.raises(DataError, match=r"t\.csv:1: column 2 of 3 has no name.*Name it in the first line, or delete"):
        read("t.csv", "a,,b\n1,2,3\n")


def test_cells_that_pandas_takes_for_missing_are_delivered_as_they_are(read):
    values = ["NA", "nan", "None", "null", "0012", "1e5", "TRUE", ""]
    rows = read("t.csv", "a,b\n" + "".join(f"x,{value}\n" for value in values))
    assert [row.value["b"] for row in rows] == values


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_header_of_a_second_file_that_was_joined_is_a_bad_row(read, mark):
    bad: list[DataError] = []
    rows = read("t.csv", f"\ufeffprompt,completion\n1,2\n{mark}prompt,completion\n3,4\n", bad)
    assert [(row.value["prompt"], row.origin.line) for row in rows] == [("1", 2), ("3", 4)]
    assert [str(error) for error in bad] == [
        "t.csv:3: the row is the header again; expected a row. Two files were joined here: take this line out."
    ]


@pytest.mark.parametrize("header", ["a,a\n1,2\n", "a,,b\n1,2,3\n"])
def test_a_header_that_names_no_column_or_one_twice_is_refused(read, header):
    with pytest.raises(DataError, match=r"^t\.csv:1: .*one name per column"):
        read("t.csv", header, [])


def test_a_header_that_cannot_be_read_is_never_skipped(read):
    with pytest.raises(DataError, match=r"^t\.csv:1: byte 1 of"):
        read("t.csv", b"\xff,b\n1,2\n3,4\n", [])


def test_empty_fields_are_a_row_and_stay_empty(read):
    assert [row.value for row in read("t.csv", "a,b\n,\n")] == [{"a": "", "b": ""}]


def test_an_empty_text_in_quotes_is_a_row_and_a_blank_line_is_none(read):
    rows = read("t.csv", 't\n""\nab\n\n  \n"  "\n')
    assert [(row.value, row.origin.line) for row in rows] == [({"t": ""}, 2), ({"t": "ab"}, 3), ({"t": "  "}, 6)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_parquet_rows_keep_nulls_and_nested_values_and_count_from_one(read, pack):
    file = io.BytesIO()
    pl.DataFrame({"a": [1, None] * 1500, "m": [[{"role": "user"}], []] * 1500}).write_parquet(file)
    rows = read("t.parquet" if pack is bytes else "t.parquet.gz", pack(file.getvalue()))
    assert rows[0].value == {"a": 1, "m": [{"role": "user"}]}
    assert rows[1].value == {"a": None, "m": []}
    assert [row.origin.line for row in rows] == list(range(1, 3001))


def test_a_damaged_parquet_file_is_named(read):
    with pytest.raises(DataError, match=r"^t\.parquet: not a parquet file"):
        read("t.parquet", b"PAR1 nothing")


@pytest.mark.parametrize("write", ["write_ipc", "write_ipc_stream"])
def test_arrow_files_and_streams_are_read_as_parquet_is(read, write):
    file = io.BytesIO()
    getattr(pl.DataFrame({"a": [1, None] * 1500, "m": [[{"role": "user"}], []] * 1500}), write)(file)
    rows = read("t.arrow", file.getvalue())
    assert (rows[0].value, rows[1].value) == ({"a": 1, "m": [{"role": "user"}]}, {"a": None, "m": []})
    assert [row.origin.line for row in rows] == list(range(1, 3001))


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("write", ["write_ipc", "write_ipc_stream"])
def test_an_arrow_file_that_is_cut_short_is_named(read, write, keep):
    file = io.BytesIO()
    getattr(pl.DataFrame({"a": [str(number) for number in range(5000)]}), write)(file)
    with pytest.raises(DataError, match=r"^t\.arrow: (not an Arrow file|the Arrow file is damaged)"):
        read("t.arrow", file.getvalue()[: int(keep * len(file.getvalue()))])
