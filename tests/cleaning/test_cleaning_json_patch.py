"""A row that a rule changes differs from what stood in the file in the changed texts, and in nothing else."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleaned_files import clean, kept
from tunelab.cleaning.rows.json_patch import spliced
from tunelab.cleaning.rows.text_fields import put_back, text_fields_of

MAIL = "jane.doe" + "@example-shop.org"
CARD = "4111" + "1111" * 3
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=15,
)


def places_of(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of all texts in a value."""
    if isinstance(value, str):
        return [path]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, inner in pairs for found in places_of(inner, (*path, key))]


@FEW
@given(value=st.dictionaries(st.text(max_size=4), VALUES, min_size=1, max_size=4), seed=st.integers(0, 9))
def test_the_texts_that_are_replaced_are_others_and_all_else_is_as_it_was(value, seed) -> None:
    chance = random.Random(seed)
    record = json.dumps(value, ensure_ascii=bool(seed % 2), indent=chance.choice([None, 2]))
    new = {path: f"neu é {number}" for number, path in enumerate(places_of(value)) if chance.random() < 0.5}
    for path, text in new.items():
        put_back(value, path, text)
    done = spliced(record, new)
    assert json.loads(done) == value
    assert done.isascii() or not record.isascii()
    marks = [json.dumps(text, ensure_ascii=record.isascii()) for text in new.values()]
    for mark in marks:
        assert done.count(mark) == 1
    if not new:
        assert done == record


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ('{"title": "<b>one</b>",  "content" : "two"}', '{"title": "one",  "content" : "two"}'),
        (
            '{"title":"<b>caf\\u00e9</b>","n":1e5,"m":1.50,"k":12345678901234567890,"x":-0,"y":[1E+2, {"z":0.10}]}',
            '{"title":"caf\\u00e9","n":1e5,"m":1.50,"k":12345678901234567890,"x":-0,"y":[1E+2, {"z":0.10}]}',
        ),
        (
            '{"messages": [{"content": "a\\/b", "role": "user"}, {"role":"assistant", "content":"<p>é"}], "n": 2.0}',
            '{"messages": [{"content": "a\\/b", "role": "user"}, {"role":"assistant", "content":"é"}], "n": 2.0}',
        ),
    ],
    ids=["table", "numbers", "chat"],
)
def test_a_changed_row_keeps_every_other_byte(tmp_path: Path, line: str, changed: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(f"{line}\n", encoding="utf-8")
    assert clean(path, strip_html=True).changed[0].count == 1
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8") == f"{changed}\n"


def test_columns_in_another_order_stay_so_when_their_row_changes(tmp_path: Path) -> None:
    lines = ['{"a": "x", "b": "y"}'] * 1000 + ['{"b": "<b>y</b>", "a": "x"}']
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    clean(path, strip_html=True)
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[-1] == '{"b": "y", "a": "x"}'


def test_redacted_arguments_keep_their_other_numbers_as_they_were_written(tmp_path: Path) -> None:
    head = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "tool_calls": ['
    line = head + '{"function": {"name": "f", "arguments": {"to": "%s", "n": 1e5, "k": [1.50, %s], "t": true}}}]}]}'
    path = tmp_path / "in.jsonl"
    path.write_text((line % (MAIL, CARD)) + "\n", encoding="utf-8")
    clean(path, personal_data="redact")
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8").rstrip() == line % ("[EMAIL]", '"[CARD]"')


def test_an_argument_that_is_a_bare_number_becomes_a_text(tmp_path: Path) -> None:
    row = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "arguments": %s}'
    assert [leaf.text for leaf in text_fields_of({"arguments": int(CARD)})] == [CARD]
    for name in ("in.jsonl", "in.json"):
        text = row % CARD
        (tmp_path / name).write_text(f"{text}\n" if name == "in.jsonl" else f"[{text}]", encoding="utf-8")
        clean(tmp_path / name, personal_data="redact")
        assert kept(tmp_path / "out.jsonl") == [json.loads(row % '"[CARD]"')]
