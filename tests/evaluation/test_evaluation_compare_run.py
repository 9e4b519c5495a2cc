"""The flow over a run folder."""

import json

import pytest
from tunelab.evaluation.report import read_report

from tunelab.errors import AdapterError, DataError, ModelError, RunError
from tunelab.events import EventLog, Planned, Progress
from tunelab.files import sha256_folder
from tunelab.flows.chat import open_chat
from tunelab.flows.compare import compare_run
from tunelab.workspace import Run


def test_a_comparison_is_written_into_the_run_and_can_be_read_again(make_run, tmp_path):
    run = make_run()
    before = sha256_folder(run.adapter)
    seen = []
    with EventLog(None, [seen.append]) as events:
        report = compare_run(run, events=events)
    assert read_report(run.report_file.read_text(), where="report.json") == report
    assert run.html_report_file.read_text().startswith("<!doctype html>")
    assert len(report.rows) == 6
    assert report.num_sequences == 12
    assert report.left_out[0].count == 6
    answers = [event for event in seen if isinstance(event, Progress) and event.unit == "answers"]
    assert [(event.stage, event.done, event.total) for event in answers] == [
        (side, done, 6) for side in ("base", "tuned") for done in range(1, 7)
    ]
    (planned,) = [event.amounts for event in seen if isinstance(event, Planned) and event.stage == "comparing"]
    assert planned == {"answers": 12, "sequences": 24}
    assert [row.question.asked for row in report.rows] == [
        row.question.reference.replace("answer", "question") for row in report.rows
    ]
    assert all(row.question.origin.startswith(f"{tmp_path / 'rows.jsonl'}:") for row in report.rows)
    assert report.base.loss != report.tuned.loss
    assert [row.base.text for row in report.rows] != [row.tuned.text for row in report.rows]
    assert sha256_folder(run.adapter) == before


def test_comparing_again_gives_the_same_bytes_greedy_and_sampled(make_run):
    run = make_run()
    for settings in ({}, {"temperature": 1.0}):
        compare_run(run, **settings)
        first = run.report_file.read_bytes()
        compare_run(run, **settings)
        assert run.report_file.read_bytes() == first


def test_an_adapter_without_effect_gives_no_difference(make_run):
    report = compare_run(make_run(trained=False))
    assert report.base == report.tuned
    assert report.chrf.value == 0.0
    assert {row.outcome for row in report.rows} <= {"both", "neither"}


def test_rows_of_another_shape_can_be_compared_on(make_run, tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text('{"query": "question 1", "response": "answer 1"}\n{"query": "why?", "response": "because"}\n')
    report = compare_run(make_run(), file=file, num_examples=50)
    assert [row.question.reference for row in report.rows] == ["answer 1", "because"]
    assert "questions.jsonl" in report.setting.data
    assert report.chrf.low is None
    assert report.exact_match.high - report.exact_match.low > 0.9  # of two rows
    with pytest.raises(DataError, match=r"absent\.jsonl"):
        compare_run(Run(path=tmp_path / "runs" / "one"), file=tmp_path / "absent.jsonl")


def test_plain_text_is_judged_by_its_loss_alone(make_run, tmp_path):
    (tmp_path / "text.txt").write_text("".join(f"The courier brought parcel {row}.\n" for row in range(30)))
    report = compare_run(make_run(train_files=["text.txt"], eval_fraction=0.5))
    assert report.rows == ()
    assert report.exact_match is None
    assert report.base.exact_match is None
    assert report.tuned.loss is not None
    assert "plain text" in report.left_out[0].reason


def test_a_run_that_held_out_nothing_says_so(make_run):
    with pytest.raises(RunError, match=r"held out no rows.*--file"):
        compare_run(make_run(eval_fraction=0.0))


def test_pain_08_a_template_that_is_not_the_trained_one_is_refused(make_run, model_folder):
    run = make_run()
    template = model_folder / "chat_template.jinja"
    before = template.read_text()
    try:
        template.write_text(before + "\n")
        for use in (compare_run, open_chat):
            with pytest.raises(RunError, match="chat template is not the one this run was trained with"):
                use(run)
    finally:
        template.write_text(before)
    assert "".join(open_chat(run, max_new_tokens=4).reply("hi")) is not None


def test_neither_environment_nor_a_dotenv_file_changes_what_a_run_was_trained_with(make_run, monkeypatch, tmp_path):
    run = make_run()
    monkeypatch.chdir(tmp_path)
    plain = compare_run(run).to_json()
    monkeypatch.setenv("LLM_EVALUATION__NUM_EXAMPLES", "2")
    monkeypatch.setenv("LLM_DATA__SYSTEM_PROMPT", "be rude")
    (tmp_path / ".env").write_text("LLM_EVALUATION__TEMPERATURE=2\n")
    assert compare_run(run).to_json() == plain


def test_an_unfinished_or_damaged_run_is_a_clear_error(make_run):
    run = make_run()
    manifest = run.manifest_file.read_text()
    run.manifest_file.write_text("{}")
    with pytest.raises(RunError, match="manifest is damaged"):
        compare_run(run)
    run.manifest_file.unlink()
    with pytest.raises(RunError, match=r"unfinished.*recipe.yaml --resume"):
        compare_run(run)
    run.manifest_file.write_text(manifest)
    run.recipe_file.write_text("lora: {r: none}\n")
    with pytest.raises(RunError, match="recipe cannot be read"):
        compare_run(run)


def test_an_adapter_of_another_kind_than_the_recipes_is_refused_with_both_kinds(make_run):
    run = make_run()
    settings = run.adapter / "adapter_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"peft_type": "PROMPT_TUNING"}))
    for use in (compare_run, open_chat):
        with pytest.raises(AdapterError, match=r"kind PROMPT_TUNING.*kind LORA"):
            use(run)


def test_a_base_model_that_is_gone_is_told_with_what_can_be_done(make_run, model_folder):
    run = make_run()
    run.recipe_file.write_text(run.recipe_file.read_text().replace(str(model_folder), str(model_folder / "gone")))
    with pytest.raises(ModelError, match=r"gone: the base model of this run is gone. Put it back") as caught:
        open_chat(run)
    assert "--set" not in str(caught.value)


def test_a_run_in_use_is_told_to_be_in_use_not_to_be_resumed(make_run):
    run = make_run()
    run.manifest_file.unlink()
    with run.locked(), pytest.raises(RunError, match=r"this run is in use by process \d+.*Wait until it ends"):
        open_chat(run)


def test_the_base_model_of_a_run_can_be_talked_to(make_run):
    run = make_run()
    tuned = "".join(open_chat(run, max_new_tokens=8).reply("question 3"))
    base = "".join(open_chat(run, base=True, max_new_tokens=8).reply("question 3"))
    assert base != tuned
