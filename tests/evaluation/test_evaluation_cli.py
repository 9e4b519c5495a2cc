import io
import json
import shutil
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
        "95 % intervals of the differences: Tango",
        "A dash: 10 conversations or sessions that differ are needed for an interval.",
        "General text: ",
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


def test_options_of_sampling_reach_the_report(make_run, capsys):
    run = make_run()
    options = {"temperature": 1.5, "top_p": 0.9, "top_k": 40, "min_p": 0.01, "repetition_penalty": 1.1, "seed": 7}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    assert tunelab(["compare", str(run.path), *words, "--stop", "END", "--stop", "\n\n"]) == 0
    setting = json.loads(run.report_file.read_text())["sampling"]
    assert setting | options | {"stop_strings": ["END", "\n\n"]} == setting


@pytest.mark.parametrize("verb", ["compare", "chat"])
def test_impossible_sampling_is_an_error_of_usage(make_run, capsys, verb):
    run = make_run()
    for option in (
        ["--top-p", "1.5"],
        ["--top-k", "-1"],
        ["--min-p", "2"],
        ["--repetition-penalty", "0"],
        ["--stop", ""],
    ):
        assert tunelab([verb, str(run.path), *option]) == 2
        error = capsys.readouterr().err
        assert option[0] in error
        assert "Traceback" not in error


def test_chat_draws_as_its_options_say(make_run, capsys):
    def said(*options: str) -> str:
        assert tunelab(["chat", str(run.path), "question 3", "--max-new-tokens", "12", *options]) == 0
        return capsys.readouterr().out

    run = make_run()
    plain = said()
    assert said("--temperature", "2", "--top-k", "1") == plain
    hot = said("--temperature", "2")
    assert hot == said("--temperature", "2", "--seed", "42") != said("--temperature", "2", "--seed", "1")
    assert said("--stop", plain[2:4]) == plain.partition(plain[2:4])[0] + "\n"


def test_chat_takes_an_adapter_s_folder_a_base_model_s_and_the_embedded_one(
    make_run, model_folder, tmp_path, monkeypatch, capsys
):
    def said(*arguments: str) -> str:
        assert tunelab(["chat", *arguments, "question 3", "--max-new-tokens", "6"]) == 0
        return capsys.readouterr().out

    run = make_run()
    shutil.copytree(run.adapter, tmp_path / "elsewhere" / "mine")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert said("mine") == said(str(run.adapter)) == said(str(run.path))
    assert said("mine", "--base") == said(str(model_folder)) == said(str(run.path), "--base") != said("mine")
    assert said("nano")


def test_chat_says_what_it_takes_where_a_name_is_none(make_run, tmp_path, monkeypatch, capsys):
    make_run()
    monkeypatch.chdir(tmp_path)
    for name in ("nothing", "./nothing", "owner/name"):
        assert tunelab(["chat", name]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "the folder of an adapter or of a base model, a GGUF, or nano or smollm2" in error


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
    monkeypatch.setattr("sys.stdin", io.StringIO("question 3\n"))  # as of echo: the line end is no part of it
    assert tunelab(options) == 0
    assert capsys.readouterr().out == answer
    monkeypatch.setattr("sys.stdin", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    typed = iter(["question 3", "/reset", "question 3", "/help", "", "/quit", "never read"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    assert tunelab(options) == 0
    printed = capsys.readouterr().out
    assert printed.count(answer) == 2
    assert next(typed) == "never read"


def test_a_piped_question_that_is_no_text_is_one_message(make_run, capsys, monkeypatch):
    run = make_run()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9 \n"), encoding="utf-8"))
    assert tunelab(["chat", str(run.path)]) == 2
    assert capsys.readouterr().err.startswith("tunelab: standard input: not text in utf-8")


def test_compare_says_before_it_computes_that_the_run_s_folder_cannot_be_written_to(make_run, capsys, monkeypatch):
    run = make_run()
    monkeypatch.setattr("tunelab.flows.subject.load_renderer", lambda *_, **__: pytest.fail("something was loaded"))
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert tunelab(["compare", str(run.path)]) == 2
    error = capsys.readouterr().err
    assert f"{run.path}: report.json cannot be written here" in error
    assert error.count("\n") == 1


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


@pytest.mark.parametrize("verb", [["compare", "--num-examples", "1"], ["chat"]])
def test_a_flag_of_sampling_over_greedy_answers_is_said_to_have_no_effect(make_run, capsys, verb):
    run = make_run()
    question = ["hello"] if verb[0] == "chat" else []
    assert tunelab([verb[0], str(run.path), *question, *verb[1:], "--max-new-tokens", "2", "--top-p", "0.5"]) == 0
    assert "evaluation.top_p has no effect: evaluation.temperature is 0" in capsys.readouterr().err
