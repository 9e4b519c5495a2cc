"""`tunelab check`: what would be trained, what is wrong with it, and the exit code."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows_files import row, rows, write_recipe, write_rows
from tunelab.cli.main import run
from tunelab.errors import DataError
from tunelab.flows.check import CheckResult, check_data_or_recipe


def checked(target: Path | str | None, *settings: str, **options: Any) -> CheckResult:
    return check_data_or_recipe(
        None if target is None else str(target),
        overrides=settings,
        environment=options.pop("environment", {}),
        **options,
    )


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    run(["check", *arguments, "--json"])
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "train.jsonl", rows(20))


def test_clean_data_end_with_0_and_say_so(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(file)]) == 0
    out = capsys.readouterr().out
    assert 'messages: 20 of the first 20 rows have a "messages" list' in out
    assert "20 rows hold " in out
    assert "Nothing blocks a run" in out


def test_a_blocking_finding_ends_with_1_and_names_place_reason_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_rows(tmp_path / "train.jsonl", [*rows(12), '{"messages": 3}', "{"])
    assert run(["check", str(file)]) == 1
    out = capsys.readouterr().out
    assert "error unreadable_row (blocks a run): 2 of 14 rows (14.3 %)" in out
    assert "train.jsonl:13: " in out
    assert "train.jsonl:14: " in out
    assert "why: " in out
    assert "remedy: " in out


def test_bad_rows_that_are_skipped_knowingly_are_still_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_rows(tmp_path / "train.jsonl", [*rows(12), *["{"] * 5])
    assert run(["check", str(file), "--skip-bad-rows"]) == 0
    out = capsys.readouterr().out
    assert all(f"train.jsonl:{line}: " in out for line in range(13, 18))
    assert len(document(capsys, str(file))["bad_rows"]) == 5


@pytest.mark.parametrize("name", ["nowhere.jsonl", "nowhere.yaml", "empty.jsonl"])
def test_what_cannot_be_read_ends_with_2_and_one_message(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert run(["check", str(tmp_path / name)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tunelab: ")
    assert captured.err.count("\n") == 1


def test_pain_05_and_06_exactly_the_answer_and_its_end_are_trained(tmp_path: Path) -> None:
    talk = row("Is it in stock?", "Yes, three of them.")
    talk["messages"] += row("And in red?", "Only in blue.")["messages"]  # type: ignore[operator]
    result = checked(write_rows(tmp_path / "train.jsonl", [talk, *rows(12)]), num_examples=13)
    example = result.examples[0]
    trained = "".join(span.text for span in example.spans if span.trained)
    seen = "".join(span.text for span in example.spans if not span.trained)
    assert trained == "Only in blue.<|im_end|>"
    assert "Yes, three of them." in seen
    assert seen.endswith("<|im_start|>assistant\n")
    assert (example.num_answers, example.num_messages, example.response_type) == (2, 4, "text")


def test_show_prints_what_is_seen_before_what_is_trained(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["check", str(file), "--show", "2"])
    out = capsys.readouterr().out
    assert out.count("── trained ──") == 2
    assert out.index("row 0: is the lamp") < out.index("── trained ──") < out.index("Of course.")
    assert "train.jsonl:1 ─" in out


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("data.max_length=12",), "answer cut away, "),
        (("data.max_length=12", "data.on_too_long=drop"), "too long, "),
        (("data.chat_template=refuses.jinja",), "refuses"),
    ],
)
def test_show_shows_conversations_of_which_nothing_is_trained_with_the_reason(
    settings: tuple[str, ...], reason: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}{{ raise_exception('never') if messages[1:] }}"
    (file.parent / "refuses.jinja").write_text(template)
    recipe = write_recipe(file.parent, "data: {train_files: train.jsonl, eval_fraction: 0}\n")
    words = [word for setting in settings for word in ("--set", setting)]
    assert run(["check", str(recipe), "--show", "2", *words]) == 1
    out = capsys.readouterr().out
    assert out.count("nothing is trained: ") == 2
    assert f"nothing is trained: {reason}" in out or reason in out.partition("nothing is trained: ")[2]
    assert "── trained ──" not in out
    assert ("── seen ──" in out) == (reason != "refuses")


def test_a_conversation_without_an_answer_is_shown_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = {"messages": [{"role": "user", "content": "hello"}]}
    run(["check", str(write_rows(tmp_path / "train.jsonl", [silent, *rows(12)])), "--show", "13"])
    out = capsys.readouterr().out
    assert "nothing is trained: no assistant turn" in out
    assert out.count("── trained ──") == 12


def test_sequences_and_answers_are_told_apart_and_counted_alike_in_all_findings(tmp_path: Path) -> None:
    long_question, long_answer = row("why? " * 60, "So."), row("Why?", "so " * 90)
    result = checked(
        write_rows(tmp_path / "train.jsonl", [*rows(12), long_question, long_answer]), "data.max_length=64"
    )
    assert result.statistics.tokens is not None
    assert (result.statistics.tokens.num_sequences, result.statistics.tokens.num_left_out) == (13, 1)
    assert "13 sequences of 14 rows hold" in result.statistics.in_words()
    assert result.statistics.in_words().endswith("Answers in no sequence: 1.")
    totals = {finding.code: finding.total for finding in result.findings if finding.code.startswith("answer_cut")}
    assert totals == {"answer_cut_away": 14, "answer_cut": 14}


def test_bare_data_say_which_model_and_length_are_assumed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["check", str(file), "--set", "data.max_length=64"])
    assert "no recipe is given: model.base_model nano, data.max_length 64" in capsys.readouterr().out
    run(["check", str(write_recipe(file.parent, "data: {train_files: train.jsonl}\n"))])
    assert "no recipe is given" not in capsys.readouterr().out


def test_a_row_cannot_write_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_rows(
        tmp_path / "train.jsonl", [row("\x1b[2Jgone", "\x1b]0;title\x07"), *rows(12), '{"\\u001b[2J": 1}']
    )
    run(["check", str(file), "--show", "1"])
    assert "\x1b" not in capsys.readouterr().out


def test_stats_print_lengths_and_kinds_of_answers(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["check", str(file), "--stats"])
    out = capsys.readouterr().out
    assert "answers: text" in out
    assert "tokens of a" in out
    assert "up to" in out


def test_json_is_one_document_with_the_documented_keys(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, str(file), "--show", "1", "--set", "checks.min_rows=50")
    text = (Path(__file__).parents[2] / "docs" / "guides" / "check-json.md").read_text(encoding="utf-8")
    assert [key for key in found if f"`{key}`" not in text] == []
    (finding,) = found["findings"]
    assert (finding["code"], finding["severity"], finding["blocking"]) == ("too_few_rows", "error", True)
    assert found["statistics"]["tokens"]["num_sequences"] == 20
    assert found["planned"] is None
    assert [span["text"] for span in found["examples"][0]["spans"] if span["trained"]] == ["Of course.", "<|im_end|>"]


def test_the_references_own_spellings_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [{"name": "stock", "arguments": {"id": 3}}]}
    tools = [{"type": "function", "function": {"name": "stock", "parameters": {"type": "object"}}}]
    sessions = [
        {
            "request": {"system": f"Shop {n}.", "tools": tools, "messages": row(f"{n}?")["messages"][:1]},
            "response": call,
        }
        for n in range(12)
    ]
    write_rows(tmp_path / "agent-session-1.jsonl", sessions)
    write_rows(tmp_path / "other.jsonl", rows(3))
    arguments = [str(tmp_path), "--pattern=agent-session-*.jsonl"]
    found = document(capsys, *arguments, "--num-examples=3", "--stats")
    assert (found["statistics"]["num_rows"], len(found["examples"])) == (12, 3)
    assert found["statistics"]["responses"] == {"tool_calls": 12}
    assert found["examples"][0]["num_tools"] == 1
    bare = document(capsys, *arguments, "--num-examples=1", "--no-catalog", "--system-prompt", "Be: brief")
    assert bare["examples"][0]["num_tools"] == 0
    assert "Be: brief" in "".join(span["text"] for span in bare["examples"][0]["spans"])


def test_without_a_target_the_environment_is_the_recipe(file: Path) -> None:
    found = checked(None, environment={"LLM_DATA__DATA_DIR": str(file.parent), "LLM_DATA__TRAIN_FILES": "*.jsonl"})
    assert found.statistics.num_rows == 20
    assert found.planned is not None


def test_bare_data_stay_whole_and_plan_no_run(file: Path) -> None:
    result = checked(file)
    assert (result.planned, len(result.dataset.train), len(result.dataset.held_out)) == (None, 20, 0)


def test_a_folder_with_both_sides_is_looked_at_for_overlap(file: Path) -> None:
    write_rows(file.parent / "test.jsonl", [row("row 3: is the lamp in stock?", "No."), row("new")])
    result = checked(file.parent)
    assert result.findings.blocking.codes() == ("train_eval_overlap",)
    assert [example.endswith("test.jsonl:1") for example in result.findings.items[0].examples] == [True]


def test_what_a_run_would_lack_on_this_machine_is_said(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = write_recipe(file.parent, "data: {train_files: train.jsonl}\nqlora: {r: 4}\n")
    there = checked(recipe).notes
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "tunelab.models.locate_model.find_spec", lambda name: None if name == "bitsandbytes" else found(name)
    )
    (told,) = set(checked(recipe).notes) - set(there)
    assert "tunelab train refuses this recipe here" in told
    assert 'pip install "tunelab[qlora]"' in told


def test_a_recipe_is_checked_with_the_run_it_plans(file: Path) -> None:
    recipe = write_recipe(file.parent, "data: {train_files: train.jsonl}\ntraining: {per_device_train_batch_size: 2}\n")
    calm = checked(recipe)
    assert calm.planned is not None
    assert calm.planned.total_steps == 10
    hasty = checked(recipe, "training.lr_scheduler_type=linear_with_warmup", "training.num_warmup_steps=400")
    assert "warmup_longer_than_run" in hasty.findings.codes()
    assert hasty.findings.blocking.codes() == ()
    odd = checked(recipe, "training.eval_steps=4", "training.save_steps=6")
    assert "save_steps_not_multiple" in odd.findings.codes()


@pytest.mark.parametrize(("on_too_long", "code", "kept"), [("drop", "too_long", 12), ("cut", "answer_cut", 13)])
def test_pain_01_and_02_a_row_that_is_too_long_is_counted_whatever_becomes_of_it(
    on_too_long: str, code: str, kept: int, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "train.jsonl", [*rows(12), row("tell me", " ".join(f"lamp {n}" for n in range(200)))])
    result = checked(file, "data.max_length=64", f"data.on_too_long={on_too_long}")
    (finding,) = result.findings
    assert (finding.code, finding.count) == (code, 1)
    assert "train.jsonl:13" in finding.examples[0]
    assert len(result.dataset.rendered_train.sequences) == kept
    tokens = result.statistics.tokens
    assert tokens is not None
    assert tokens.num_too_long == 1
    assert tokens.sequence.max > 200


def test_a_row_that_is_too_long_can_end_the_command(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "train.jsonl", [*rows(12), row("tell me", " ".join(f"lamp {n}" for n in range(200)))])
    with pytest.raises(DataError, match=r"train\.jsonl:13"):
        checked(file, "data.max_length=64", "data.on_too_long=refuse")


def test_pain_03_a_template_that_never_ends_a_turn_is_given_an_end_and_it_is_said(file: Path) -> None:
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    (file.parent / "endless.jinja").write_text(template + "{% if add_generation_prompt %}assistant: {% endif %}")
    recipe = write_recipe(file.parent, "data: {train_files: train.jsonl, chat_template: endless.jinja}\n")
    result = checked(recipe)
    last = {int(item.completion_ids[-1]) for item in result.dataset.rendered_train.sequences}
    assert len(last) == 1
    assert any("does not end an answer" in note for note in result.notes)
    assert "eos_never_trained" not in result.findings.codes()


def test_pain_10_a_reasoning_template_that_breaks_the_continuation_is_found_with_its_remedy(file: Path) -> None:
    template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    template += "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
    (file.parent / "think.jinja").write_text(template)
    recipe = write_recipe(file.parent, "data: {train_files: train.jsonl, chat_template: think.jinja}\n")
    result = checked(recipe)
    assert set(result.findings.blocking.codes()) == {"generation_prompt_mismatch", "nothing_trained"}
    finding = next(finding for finding in result.findings if finding.code == "generation_prompt_mismatch")
    assert finding.count == 20
    assert "chat_template_kwargs" in finding.examples[0]


def test_pain_24_checking_brings_no_torch(file: Path) -> None:
    code = (
        "import sys; from tunelab.cli.main import run; "
        f"run(['check', {str(file)!r}, '--show', '1', '--stats']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'peft')))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "trained" in ended.stdout


def test_a_base_model_that_a_modellab_recipe_cannot_have_here_is_told_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path / "train.jsonl", rows(12))
    recipe = tmp_path / "lora.yaml"
    recipe.write_text("model: Phi-3.6-mini-instruct\nfinetune_dataset: train.jsonl\nvaried_seqlen: true\n")
    assert run(["check", str(recipe)]) == 2
    told = capsys.readouterr().err
    assert 'there is no model "Phi-3.6-mini-instruct"' in told
    way_out = told.split("--set ")[1].strip()
    assert way_out == "model.base_model=nano"
    assert run(["check", str(recipe), "--set", way_out]) in (0, 1)


def test_save_steps_that_nobody_set_are_a_multiple_of_eval_steps_and_said(tmp_path: Path, tiny_model: Path) -> None:
    write_rows(tmp_path / "train.jsonl", rows(40))
    recipe = write_recipe(tmp_path, f"model: {{base_model: {tiny_model}}}\ndata: {{train_files: train.jsonl}}\n")
    result = checked(recipe, "training.eval_steps=10")
    assert "save_steps_not_multiple" not in result.findings.codes()
    assert result.resolved.recipe.training.save_steps == 60
    assert "training.save_steps is 60, a multiple of training.eval_steps, 10." in result.notes
    assert checked(recipe).resolved.recipe.training.save_steps == 64


def test_rows_that_are_skipped_are_not_advised_to_be_skipped(tmp_path: Path, tiny_model: Path) -> None:
    write_rows(tmp_path / "train.jsonl", [*rows(20), "{no row"])
    recipe = write_recipe(tmp_path, f"model: {{base_model: {tiny_model}}}\ndata: {{train_files: train.jsonl}}\n")
    for settings, advised in ((), True), (("data.bad_rows=skip",), False):
        (finding,) = [each for each in checked(recipe, *settings).findings if each.code == "unreadable_row"]
        assert ("--skip-bad-rows" in finding.remedy) == advised


def test_flags_of_check_take_their_words_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_rows(tmp_path / "train.jsonl", rows(3))
    prompt = 'say "no" # 1: {x}'
    assert (
        run(["check", str(file), "--system-prompt", prompt, "--model", "nano", "--show", "1", "--fail-on", "never"])
        == 0
    )
    assert prompt in capsys.readouterr().out.replace("\n", " ")
