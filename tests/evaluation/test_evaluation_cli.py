import io
import subprocess
import sys

import pytest

from tunelab.cli.main import run as tunelab


def test_compare_prints_the_totals_and_the_way_to_the_page(make_run, capsys):
    run = make_run()
    assert tunelab(["compare", str(run.path), "--show", "2", "--num-examples", "4"]) == 0
    printed = capsys.readouterr().out
    for words in (
        "Exact match",
        "chrF",
        "Loss",
        "Perplexity",
        "Stopped by itself",
        "Shown: 2 of 4 rows",
        "none for fewer than ten",
    ):
        assert words in printed
    assert str(run.html_report_file) in printed.replace("\n", "")
    assert printed.count("reference") == 2
    assert "rows.jsonl:" in printed


def test_compare_takes_impossible_values_for_an_error_of_usage(make_run, capsys):
    run = make_run()
    for option in (["--num-examples", "0"], ["--temperature", "-1"], ["--max-new-tokens", "0"]):
        assert tunelab(["compare", str(run.path), *option]) == 2
        assert "Traceback" not in capsys.readouterr().err


def test_a_run_that_is_not_there_is_one_message(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for verb in ("compare", "chat"):
        assert tunelab([verb, "nothing"]) == 2
        assert "there is no run here yet" in capsys.readouterr().err


def test_chat_answers_an_argument_a_pipe_and_the_keyboard_alike(make_run, capsys, monkeypatch):
    run = make_run()
    options = ["chat", str(run.path), "--max-new-tokens", "6"]
    assert tunelab([*options, "question 3"]) == 0
    answer = capsys.readouterr().out
    assert answer.strip()
    monkeypatch.setattr("sys.stdin", io.StringIO("question 3"))
    assert tunelab(options) == 0
    assert capsys.readouterr().out == answer
    monkeypatch.setattr("sys.stdin", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    typed = iter(["question 3", "/reset", "question 3", "/help", "", "/quit", "never read"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    assert tunelab(options) == 0
    printed = capsys.readouterr().out
    assert printed.count(answer) == 2
    assert next(typed) == "never read"


def test_a_chat_that_outgrows_the_model_can_go_on(make_run, capsys, monkeypatch):
    run = make_run()
    monkeypatch.setattr("sys.stdin", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    typed = iter(["word " * 300, "hi"])

    def read(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", read)
    assert tunelab(["chat", str(run.path), "--max-new-tokens", "6"]) == 0
    printed = capsys.readouterr().out
    assert "leaves no room for an answer" in printed
    assert "/reset starts anew" in printed
    assert len(printed.splitlines()) > 3


@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_an_empty_prompt_is_refused(make_run, capsys, prompt):
    assert tunelab(["chat", str(make_run().path), prompt]) == 2
    assert "nothing to answer" in capsys.readouterr().err


def test_text_of_a_model_cannot_steer_the_terminal():
    from tunelab.cli.console import harmless

    assert harmless("a\x1b[2Jb\x07\r\nç\tй‍🙂\x9b1m") == "a[2Jb\nç\tй‍🙂1m"


def test_pain_24_the_help_of_compare_and_chat_brings_no_torch():
    code = (
        "import sys; from tunelab.cli.main import run;"
        "codes = [run([verb, '--help']) for verb in ('compare', 'chat')];"
        "print(codes, [name for name in ('torch', 'transformers', 'peft') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[0, 0] []"
