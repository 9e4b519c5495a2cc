"""What `tunelab clean` says when it cannot: in the words of its options, and nothing is left behind."""

import errno
from pathlib import Path

import pytest

from cleaned_files import chat, write_rows
from tunelab.cli.main import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "table.jsonl", [{"title": "t", "content": "min_chars"}])
    write_rows(tmp_path / "chat.jsonl", [chat("q", "a")])
    return tmp_path


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["table.jsonl", "--max-per-class", "3"], "Set --label-field to the column of the class."),
        (["table.jsonl", "--near-overlap", "0.5"], "--near-overlap is set, and no test rows are named. Name their"),
        (["table.jsonl", "--conflicts", "drop"], "Set --prompt-field to the columns of the prompt"),
        (["table.jsonl", "--label-field", "title"], "Set --max-per-class or --stratified, or leave the label out."),
        (["table.jsonl", "--tokenizer", "x"], "--tokenizer is set, and no tokens are counted. Set --min-tokens or"),
        (["table.jsonl", "--text-field", "min_chars"], '--text-field: no row has the column "min_chars"'),
        (["table.jsonl", "--min-chars", "x=5"], '--min-chars: no row has the column "x"'),
        (["chat.jsonl", "--label-pattern", "a(", "--stratified"], '--label-pattern "a(" is no regular expression: '),
        (["chat.jsonl", "--label-pattern", "a(", "--stratified"], "missing ), unterminated subpattern at character 2"),
        (["chat.jsonl", "--label-field", "x", "--label-pattern", "y"], "a second way to the label: --label-field is"),
    ],
)
def test_an_error_names_options_and_not_settings(
    folder: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["clean", *words, "-o", "out.jsonl"]) == 2
    assert told in capsys.readouterr().err
    assert sorted(each.name for each in folder.iterdir()) == ["chat.jsonl", "table.jsonl"]


def test_an_interruption_says_that_nothing_was_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tunelab.cleaning.clean.find_shape", interrupt)
    assert run(["clean", "table.jsonl", "-o", "out.jsonl"]) == 130
    told = "Interrupted: nothing was written to out.jsonl; table.jsonl is unchanged."
    assert told in capsys.readouterr().err


def test_a_folder_that_may_not_be_written_to_is_named_in_full(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert run(["clean", "table.jsonl", "-o", "out.jsonl"]) == 2
    error = capsys.readouterr().err
    assert f"{folder.resolve()}: writing here is not permitted." in error.replace("\n", "")
