"""Test rows that no row may repeat: of which kinds they may be, and what is said of the comparison."""

from pathlib import Path

import pytest

from cleaned_files import chat, clean, counts, kept, write_rows
from tunelab.errors import DataError

PLAIN = [{"text": "asked before"}, {"text": "never asked"}]
CHATS = [chat("asked before", "x"), chat("never asked", "y")]
TABLE = [{"title": "asked before", "content": "x"}]
TURNS = [{"role": "user", "content": "asked before"}]
SAME = {
    "messages": chat("asked  before", "z"),
    "sharegpt": {"conversations": [{"from": "human", "value": "asked before"}, {"from": "gpt", "value": "z"}]},
    "prompt_completion": {"prompt": "asked before", "completion": "z"},
    "instruction": {"instruction": "asked before", "output": "z"},
    "query_response": {"query": "asked before", "response": "z"},
    "input_output": {"input": "asked before", "output": "z"},
    "session": {"request": {"messages": TURNS}, "response": {"role": "assistant", "content": "z"}},
}


@pytest.mark.parametrize(
    ("rows", "test", "words"),
    [
        (CHATS, PLAIN, r"test\.jsonl: the rows are plain texts .*expected conversations, as in the data"),
        (PLAIN, CHATS, r"test\.jsonl: the rows are conversations .*expected plain texts, as in the data"),
        (TABLE, PLAIN, r"test\.jsonl: the rows are plain texts .*expected a table, as in the data"),
        (PLAIN, TABLE, r"test\.jsonl: the rows are a table .*expected plain texts, as in the data"),
        (TABLE, CHATS, r"test\.jsonl: the rows are conversations .*expected a table, as in the data"),
        (CHATS, ["no object"], r"test\.jsonl: no row can be read; expected conversations"),
    ],
    ids=["texts for chats", "chats for texts", "texts for a table", "a table for texts", "chats for a table", "no row"],
)
def test_test_rows_of_a_kind_that_can_never_ask_the_same_are_refused(
    tmp_path: Path, rows: list[object], test: list[object], words: str
) -> None:
    other = write_rows(tmp_path / "test.jsonl", test)
    with pytest.raises(DataError, match=words):
        clean(write_rows(tmp_path / "in.jsonl", rows), excluded=[other])
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("format", SAME)
def test_test_rows_of_another_shape_of_conversation_are_found_both_ways(tmp_path: Path, format: str) -> None:
    same = write_rows(tmp_path / "same.jsonl", [SAME[format]])
    chats = write_rows(tmp_path / "chats.jsonl", list(CHATS))
    assert counts(clean(chats, excluded=[same])) == {"exclude_files": 1}
    assert kept(tmp_path / "out.jsonl") == CHATS[1:]
    assert counts(clean(same, excluded=[chats])) == {"exclude_files": 1}


def test_files_of_test_rows_may_be_of_several_shapes_of_conversation(tmp_path: Path) -> None:
    first = write_rows(tmp_path / "first.jsonl", [SAME["sharegpt"]])
    second = write_rows(tmp_path / "second.jsonl", [chat("never asked", "z")])
    report = clean(write_rows(tmp_path / "in.jsonl", [*CHATS, chat("new", "a")]), excluded=[first, second])
    assert counts(report) == {"exclude_files": 2}
    assert report.compared == "compared with 2 rows of first.jsonl, second.jsonl: 2 rows rejected for it"
    third = write_rows(tmp_path / "third.jsonl", list(PLAIN))
    with pytest.raises(DataError, match=r"third\.jsonl: the rows are plain texts"):
        clean(tmp_path / "in.jsonl", excluded=[first, third])


def test_a_table_of_other_columns_is_said_to_be_compared_row_by_whole_row(tmp_path: Path) -> None:
    test = write_rows(tmp_path / "test.jsonl", [{"title": "asked before", "content": "x", "id": "1"}])
    path = write_rows(tmp_path / "in.jsonl", list(TABLE))
    told = clean(path, excluded=[test]).compared
    assert "only one of them has id (prompt_fields names what to compare): 0 rows rejected" in told
    told = clean(path, excluded=[test], prompt_fields=["title"]).compared
    assert told == "compared with 1 row of test.jsonl: 1 row rejected for it"


def test_a_clean_says_how_many_rows_test_rows_cost_even_if_none(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", list(CHATS))
    for asked, told in (("asked before", "1 row rejected for it"), ("asked by nobody", "0 rows rejected for it")):
        test = write_rows(tmp_path / "test.jsonl", [chat(asked, "z")])
        assert clean(path, excluded=[test]).compared == f"compared with 1 row of test.jsonl: {told}"
    assert clean(path).compared == ""
