"""`tunelab rate`: blind, in an order of its own, and kept rating by rating."""

import io
from pathlib import Path

import msgspec
import pytest
from judged_rows import judged_row

from tunelab.cli.main import run as tunelab
from tunelab.errors import RunError
from tunelab.evaluation.judging.asks import JudgedRow
from tunelab.evaluation.judging.line_file import LineFile
from tunelab.evaluation.judging.ratings import Rating
from tunelab.evaluation.judging.rubric import named_criteria
from tunelab.flows import rated_rows
from tunelab.flows.rate import plan_questions, sitting

TWO = named_criteria(["relevance", "structure"])


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rate(workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs the command with these rows and keys, and returns its code and what it printed."""

    def run(rows: list[JudgedRow], keys: str, *arguments: str, name: str = "ratings") -> tuple[int, str]:
        def stored(model: str, against: str | None, _: object) -> rated_rows.RatedRows:
            some = rows if against else [JudgedRow(item=row.item, before=None, after=row.after) for row in rows]
            return rated_rows.RatedRows(rows=some, file=workspace / f"{name}.jsonl")

        monkeypatch.setattr(rated_rows, "rated_rows", stored)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(keys.encode()), encoding="utf-8"))
        code = tunelab(["rate", "run-7f3a", *arguments])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


@pytest.fixture
def rubric(workspace: Path) -> str:
    (workspace / "rubric.yaml").write_text(
        "criteria:\n  - {name: tone, question: Is it polite?}\n  - {name: facts, question: Is it true?}\n"
    )
    return "rubric.yaml"


def values(file: Path) -> dict[tuple[str, str], int | None]:
    return {(each.item, each.criterion): each.value for each in LineFile(file, Rating).read()}


def test_the_order_is_the_rater_s_own_and_says_nothing_of_the_models() -> None:
    rows = [judged_row(each, "one", "other") for each in range(200)]
    ana, bea = (plan_questions(rows, TWO, rater=rater, num_rows=200) for rater in ("ana", "bea"))
    assert ana == plan_questions(rows[::-1], TWO, rater="ana", num_rows=200)
    assert [each.row.item.id for each in ana] != [each.row.item.id for each in bea]
    assert 160 < sum(each.later_is_first for each in ana) < 240  # of 400
    assert len(plan_questions(rows, TWO, rater="ana", num_rows=3)) == 6


def test_a_choice_names_the_model_whichever_answer_came_first(rate, rubric: str, workspace: Path) -> None:
    rows = [judged_row(each, f"old {each}", f"new {each}") for each in range(8)]
    code, printed = rate(rows, "a\na\n" * 8, "--against", "base", "--rubric", rubric)
    assert code == 0
    later_is_first = {row.item.id: printed.index(row.after.text) < printed.index(row.before.text) for row in rows}
    assert set(later_is_first.values()) == {True, False}
    assert values(workspace / "ratings.jsonl") == {
        (item, name): 1 if first else -1 for item, first in later_is_first.items() for name in ("tone", "facts")
    }
    assert "All are answered: 16 of 16" in printed


def test_nothing_on_the_screen_says_whose_answer_it_is(rate, rubric: str) -> None:
    _, printed = rate([judged_row(1, "text", "other text")], "q\n", "--against", "base", "--rubric", rubric)
    assert "Answer A" in printed
    assert "base" not in printed
    assert "run-7f3a" not in printed


def test_keys_are_shown_and_others_ask_again(rate, rubric: str, workspace: Path) -> None:
    keys = "x\n7\n\n\x1b[2J\na\ns\n"
    code, printed = rate([judged_row(1, "text", "other")], keys, "--against", "base", "--rubric", rubric)
    assert code == 0
    assert "a the first is better · b the second · t no difference · s cannot say" in printed
    assert printed.count("There is no key") == 4
    assert "\x1b" not in printed
    first, second = values(workspace / "ratings.jsonl").values()
    assert first in (1, -1)
    assert second is None


def test_answers_by_themselves_are_rated_on_the_scale(rate, workspace: Path) -> None:
    code, printed = rate([judged_row(1, "x", "text")], "5\n1\n0\n6\n3\n2\n4\n", "--rater", "ana")
    assert code == 0
    assert "1 = about something else, 3 = partly, 5 = in every point" in printed
    assert list(values(workspace / "ratings.jsonl").values()) == [5, 1, 3, 2, 4]
    assert printed.count("There is no key") == 2


def test_one_may_go_back_and_the_later_rating_counts(rate, rubric: str, workspace: Path) -> None:
    rate([judged_row(1, "x", "text")], "5\nu\n2\nu\nu\n3\n4\n", "--rubric", rubric)
    assert values(workspace / "ratings.jsonl") == {("00000001", "tone"): 3, ("00000001", "facts"): 4}


def test_rating_that_is_killed_anywhere_ends_with_the_bytes_of_one_sitting(rate, rubric: str, workspace: Path) -> None:
    rows = [judged_row(each, f"old {each}", f"new {each}") for each in range(5)]
    keys = ["a\n", "b\n", "t\n", "s\n", "a\n"] * 2
    rate(rows, "".join(keys), "--against", "base", "--rubric", rubric, name="whole")
    whole = (workspace / "whole.jsonl").read_bytes()
    assert whole.count(b"\n") == 10
    for stop in range(10):
        for ending in ("q\n", ""):  # a key, or the end of the input
            file = workspace / f"part{stop}{len(ending)}.jsonl"
            part = [rows, "".join(keys[:stop]) + ending, "--against", "base", "--rubric", rubric]
            assert rate(*part, name=file.stem)[0] == 0
            with file.open("ab") as torn:
                torn.write(b'{"rater":"rat')
            code, printed = rate(rows, "".join(keys[stop:]), "--against", "base", "--rubric", rubric, name=file.stem)
            assert f"rater: {stop} of 10 questions answered" in printed
            assert (code, file.read_bytes()) == (0, whole)


def test_every_key_is_on_disk_when_the_next_question_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "ratings.jsonl"
    rows = [judged_row(each, "one", "other") for each in range(3)]
    with sitting(rows, TWO, rater="ana", file=file, num_rows=3) as seat:
        for count in range(6):
            assert len(LineFile(file, Rating).read()) == count
            seat.rate(1)
        assert seat.question is None
        assert (seat.num_rated, seat.num_questions) == (6, 6)


HOSTILE = [
    "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "right \u202eforced\u2066",
    "half \ud800",
    "x" * 1_000_000,
    "real\n\nAnswer B\n│ forged\r\x1b[1Aforged",
    "[bold]not markup[/bold]",
    " " * 200 + "Answer B",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_answer_stays_in_its_place_on_the_screen(rate, rubric: str, text: str, workspace: Path) -> None:
    code, printed = rate([judged_row(1, "plain", text)], "a\nb\n", "--against", "base", "--rubric", rubric)
    assert code == 0
    assert not {"\x1b", "\x9b", "\x07", "\r", "\u202e", "\u2066", "\ud800"} & set(printed)
    assert len(printed) < 20_000
    assert printed.split("\n").count("Answer B") == printed.split("\n").count("Answer A") == 1
    assert "[bold]" not in text or "[bold]not markup[/bold]" in printed
    for line in (workspace / "ratings.jsonl").read_bytes().splitlines():
        assert len(line) < 500
        msgspec.json.decode(line, type=Rating)


def test_what_cannot_be_rated_is_one_message(rate, workspace: Path) -> None:
    assert rate([judged_row(1, "same", "same")], "", "--against", "base") == (
        2,
        f"tunelab: {workspace}: there is nothing to rate: all answers of both models are equal.\n",
    )
    code, printed = rate([], "", "--rater", "../x")
    assert (code, "--rater" in printed) == (2, True)
    code, printed = rate([judged_row(1, "a", "b")], "", "--rubric", "none.yaml")
    assert (code, "none.yaml" in printed) == (2, True)


def test_a_model_that_was_not_evaluated_is_one_message(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tunelab(["rate", "latest"]) == 2
    assert "tunelab evaluate" in capsys.readouterr().err


def test_two_sittings_at_once_are_refused(tmp_path: Path) -> None:
    rows = [judged_row(1, "one", "other")]
    settings = {"rater": "ana", "file": tmp_path / "ratings.jsonl", "num_rows": 1}
    with (
        sitting(rows, TWO, **settings),
        pytest.raises(RunError, match="another process is writing here"),
        sitting(rows, TWO, **settings),
    ):
        pass
