"""JSON in its three lay-outs: lines, one array, pretty-printed objects."""

import json
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.errors import DataError
from tunelab.sources import Origin, parse_json
from tunelab.sources import json_rows as json_rows_module

# subnormal numbers aside: torch, where a test before these loaded a model, has the whole process take them for zero
FLOATS = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=4), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(objects=OBJECTS, indent=st.sampled_from([None, 0, 2]), chunk=st.integers(1, 7), ascii_only=st.booleans())
def test_an_array_cut_at_any_place_gives_its_elements_and_their_lines(objects, indent, chunk, ascii_only):
    text = json.dumps(objects, indent=indent, ensure_ascii=ascii_only)
    chunks = (text[at : at + chunk] for at in range(1, len(text), chunk))
    elements = list(json_rows_module._split(["[", *chunks], "a.json", "["))
    assert [json.loads(element) for element, _, _ in elements] == objects
    lines = text.split("\n")
    for element, line, column in elements:
        assert lines[line - 1][column - 1 :].startswith(element.split("\n")[0])


@settings(max_examples=60, deadline=None)
@given(gaps=st.lists(st.sampled_from(["", "\n", "\n\n\n"]), min_size=1, max_size=12))
def test_no_two_rows_of_a_file_have_one_number_and_rows_on_lines_of_their_own_have_their_lines(gaps):
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        file.write_text("[" + ",".join(f'{gap}{{"a": {number}}}' for number, gap in enumerate(gaps)) + "]")
        numbers = [row.origin.line for row in json_rows_module.read_json(file, "rows.json", _refuse)]
    assert len(set(numbers)) == len(gaps)
    opened = list(accumulate(len(gap) for gap in gaps))
    if len(set(opened)) == len(gaps):
        assert numbers == [1 + lines for lines in opened]


def _refuse(error: DataError) -> None:
    raise error


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.ndjson"])
def test_lines_are_read_under_every_json_name(read, name):
    rows = read(name, '{"a": 1}\r\n\r\n  \n{"a": 2}')
    assert [(row.value, str(row.origin)) for row in rows] == [({"a": 1}, f"{name}:1"), ({"a": 2}, f"{name}:4")]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ('[{"a": 1}, {"a": 2}]', [1, 2]),
        ('\n[{"a": 1}, {"a": 2}]', [2, 3]),
        ('\n[\n  {"a": 1\n  },\n\n  {"a": 2}\n]\n', [3, 6]),
        ('{"data": [\n{"a": 1},\n{"a": 2}]}\n', [2, 3]),
        ('{\n  "a": 1\n}\n{\n  "a": 2\n}\n', [1, 4]),
        ('{"a":\n 1,\n"b": [\n2]}', None),
    ],
)
def test_the_layout_of_a_json_file_is_found_by_its_content(read, content, lines):
    if lines is None:
        with pytest.raises(DataError, match=r"rows\.json:1: broken JSON"):
            read("rows.json", content)
    else:
        rows = read("rows.json", content)
        assert [row.value for row in rows] == [{"a": 1}, {"a": 2}]
        assert [row.origin.line for row in rows] == lines


def test_a_single_conversation_on_one_line_is_one_row(read):
    assert (
        len(read("rows.json", '{"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]}'))
        == 1
    )


def test_pain_12_nulls_and_the_order_of_keys_stay_and_no_key_is_added(read):
    rows = read("rows.jsonl", '{"z": null, "a": {"y": 1, "b": null}}\n{"a": {"c": 2}}\n')
    assert [json.dumps(row.value) for row in rows] == ['{"z": null, "a": {"y": 1, "b": null}}', '{"a": {"c": 2}}']


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"a": 2,}', ["broken JSON at column ", "name in double quotes"]),
        ('{"a" 3}', ["column 6", "colon"]),
        ('{"a": 1 "b": 2}', ["column 9", "comma"]),
        ("{'a': 1}", ["column 2", "Python literal", "json.dumps"]),
        ('{"a": "no end}', ["column 7", "closing double quote"]),
        ('{"a": 1} {"b": 2}', ["column 10", "one object per line"]),
        ('{"a": NaN}', ["NaN", "null"]),
        ('{"a": [-Infinity]}', ["-Infinity"]),
        ('{"a": 1e999}', ["too large"]),
        ('{"a": 1, "a": 2}', ['"a" occurs twice']),
        ('{"a": "\\ud800"}', ["both halves"]),
        ('{"a": ' + "9" * 5000 + "}", ["thousands of digits"]),
        ("[" * 100_000, ["nested too deep"]),
        ("[1]", ["the row is a list", "an object"]),
        ('"text"', ["the row is text"]),
        ("null", ["the row is null"]),
    ],
)
def test_pain_13_a_bad_line_names_file_line_and_what_was_expected(read, line, words):
    with pytest.raises(DataError) as caught:
        read("train.jsonl", f'{{"a": 1}}\n\n{line}\n{{"a": 2}}\n')
    assert str(caught.value).startswith("train.jsonl:3: ")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_reading_goes_on_behind_a_bad_line_and_each_is_handed_over(read):
    bad: list[DataError] = []
    rows = read("train.jsonl", '{"a": 1}\n{"a": \n[]\n{"a": 2}\n', bad)
    assert [row.value for row in rows] == [{"a": 1}, {"a": 2}]
    assert [error.where for error in bad] == ["train.jsonl:2", "train.jsonl:3"]


def test_reading_goes_on_behind_a_bad_element_of_an_array(read):
    bad: list[DataError] = []
    content = '[\n {"a": 1},\n {"b": oops},\n 3,\n {"c": "no end},\n  "d": 1},\n {"a": 2},]'
    rows = read("train.json", content, bad)
    assert [row.value for row in rows] == [{"a": 1}, {"a": 2}]
    assert [error.where for error in bad] == ["train.json:3", "train.json:4", "train.json:5", "train.json:7"]
    assert "column 8" in str(bad[0])


@pytest.mark.parametrize(
    "content",
    ['[{"a": 1}, {"a": 2}', '[{"a": 1}, {"a": "cut he', '[{"a": 1}] {"a": 2}', '[{"a": 1}]}', '{\n"a": 1,\n"b": [2'],
)
def test_an_array_that_may_have_lost_rows_is_refused_even_where_bad_rows_are_skipped(read, content):
    with pytest.raises(DataError, match=r"^train\.json:\d+: "):
        read("train.json", content, [])


def test_an_array_under_the_name_of_lines_is_told_apart(read):
    with pytest.raises(DataError, match=r"one JSON array.*Name it \.json"):
        read("train.jsonl", '[\n{"a": 1}\n]\n')


def test_a_fault_inside_a_field_counts_characters_of_that_field():
    with pytest.raises(DataError, match=r"^f\.jsonl:7: arguments: broken JSON at character 6;"):
        parse_json('{"a":', Origin(path="f.jsonl", line=7), subject="arguments")
