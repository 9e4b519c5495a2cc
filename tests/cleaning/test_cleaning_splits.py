"""Training and test rows: nothing is in both."""

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleaned_files import chat, clean, kept, write_rows
from tunelab.sources import SourceConfig, locate_data


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sessions=st.lists(st.sampled_from("abcdef") | st.none(), min_size=4, max_size=40), seed=st.integers(0, 99))
def test_no_session_and_no_prompt_stands_on_both_sides(tmp_path: Path, sessions, seed: int) -> None:
    rows = [
        chat(f"question {n % 7}", f"answer {n}", **({"session_id": session} if session else {}))
        for n, session in enumerate(sessions)
    ]
    report = clean(write_rows(tmp_path / "in.jsonl", rows), "out", test_size=0.3, seed=seed)
    train, test = kept(tmp_path / "out" / "train.jsonl"), kept(tmp_path / "out" / "test.jsonl")
    assert (len(train), len(test)) == (report.num_train, report.num_test)
    assert sorted(map(str, train + test)) == sorted(map(str, rows))
    sides = defaultdict(set)
    for side, some in (("train", train), ("test", test)):
        for row in some:
            key = row.get("session_id") or row["messages"][0]["content"]
            sides[key].add(side)
    assert all(len(each) == 1 for each in sides.values())


def test_calls_of_one_session_without_an_id_stay_together(tmp_path: Path) -> None:
    rows = []
    for session in range(12):
        messages = [{"role": "user", "content": f"start {session}"}]
        for turn in range(3):
            answer = {"role": "assistant", "content": f"answer {turn}"}
            rows.append({"request": {"messages": [*messages]}, "response": answer})
            messages += [answer, {"role": "user", "content": f"and {turn}"}]
    clean(write_rows(tmp_path / "in.jsonl", rows), "out", test_size=0.25)
    first = [
        {row["request"]["messages"][0]["content"] for row in kept(tmp_path / "out" / f"{side}.jsonl")}
        for side in ("train", "test")
    ]
    assert len(first[1]) == 3
    assert not first[0] & first[1]


@pytest.mark.parametrize("shape", ["messages", "conversations"])
def test_rows_of_a_growing_chat_stay_together_though_all_chats_open_alike(tmp_path: Path, shape: str) -> None:
    rows = []
    who, what, human, answers = ("role", "content", "user", "assistant")
    if shape == "conversations":
        who, what, human, answers = ("from", "value", "human", "gpt")
    for chat_number in range(12):
        messages = [{who: "system", what: "be kind"}, {who: human, what: "hello"}]
        for turn in range(3):
            messages = [*messages, {who: answers, what: f"answer {chat_number} {turn}"}]
            rows.append({shape: messages, "chat": chat_number})
            messages = [*messages, {who: human, what: f"and {turn}"}]
    clean(write_rows(tmp_path / "in.jsonl", rows), "out", test_size=0.25)
    chats = [{row["chat"] for row in kept(tmp_path / "out" / f"{side}.jsonl")} for side in ("train", "test")]
    assert len(chats[1]) == 3
    assert not chats[0] & chats[1]


def test_a_row_that_asks_what_a_chat_asks_goes_with_that_chat(tmp_path: Path) -> None:
    rows = []
    for number in range(20):
        first, other = (chat(f"question {number}", f"{word} answer") for word in ("one", "another"))
        more = [{"role": "user", "content": "and?"}, {"role": "assistant", "content": "more"}]
        rows += [other, first, {"messages": [*first["messages"], *more]}]
    clean(write_rows(tmp_path / "in.jsonl", rows), "out", test_size=0.3)
    asked = [
        {row["messages"][0]["content"] for row in kept(tmp_path / "out" / f"{side}.jsonl")}
        for side in ("train", "test")
    ]
    assert len(asked[1]) == 6
    assert not asked[0] & asked[1]


def test_the_folder_of_a_split_is_read_as_two_sides(tmp_path: Path) -> None:
    rows = [chat(f"q{n}", "a") for n in range(20)] + [{"messages": None}]
    clean(write_rows(tmp_path / "in.jsonl", rows), "out", test_size=0.1)
    found = locate_data(SourceConfig(data_dir=str(tmp_path / "out")), base=tmp_path)
    assert [file.name for file in found.train] == ["train.jsonl"]
    assert [file.name for file in found.eval] == ["test.jsonl"]


def test_what_a_killed_clean_left_with_rows_is_told_with_the_remedy(tmp_path: Path) -> None:
    left = tmp_path / "out" / ".train.jsonl.4711.tmp"
    left.mkdir(parents=True)
    report = clean(write_rows(tmp_path / "in.jsonl", [chat(f"q{n}", "a") for n in range(20)]), "out", test_size=0.1)
    assert [note for note in report.notes if str(left) in note and "remove the folder" in note]
    assert left.is_dir()


def test_a_folder_that_holds_rejected_rows_is_not_read_with_them(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = [chat("q", "a"), {"messages": None}]
    clean(write_rows(tmp_path / "in.jsonl", rows), "data/clean.jsonl")
    found = locate_data(SourceConfig(data_dir=str(tmp_path / "data")), base=tmp_path)
    assert [file.name for file in found.train] == ["clean.jsonl"]
