"""The flow over a run folder."""

import json
import shutil

import numpy as np
import pytest

from tunelab.errors import AdapterError, DataError, ModelError, RunError
from tunelab.evaluation.figures.measure import FigureChange
from tunelab.evaluation.reports.report import ComparedRow
from tunelab.evaluation.reports.words import caveats
from tunelab.evaluation.rows.answer_cache import AnswerCache
from tunelab.events import EventLog, Planned, Progress
from tunelab.files import sha256_folder
from tunelab.flows.chat import open_chat
from tunelab.flows.compare import Compared, compare_run, read_report, read_rows
from tunelab.workspace import Run


def loss_of(compared: Compared) -> FigureChange:
    return compared.report.tasks[0].figure("loss")


def in_order(compared: Compared) -> list[ComparedRow]:
    return sorted(compared.rows, key=lambda row: int(row.item.origin.rpartition(":")[2]))


def test_a_comparison_is_written_into_the_run_and_can_be_read_again(make_run, tmp_path):
    run = make_run()
    before = sha256_folder(run.adapter)
    seen = []
    with EventLog(None, [seen.append]) as events:
        compared = compare_run(run, events=events)
    report, rows = compared.report, in_order(compared)
    assert read_report(run) == report
    assert read_rows(run) == list(compared.rows)
    assert run.html_report_file.read_text().startswith("<!doctype html>")
    assert len(rows) == 6
    assert loss_of(compared).after.num_rows == 12
    assert report.left_out[0].count == 6
    planned = [event.amounts for event in seen if isinstance(event, Planned) and event.stage == "comparing"]
    assert planned == [{"answers": 12, "sequences": 24}]
    answers = [event for event in seen if isinstance(event, Progress) and event.unit == "answers"]
    assert [(event.done, event.total) for event in answers if event.stage == "one"][-1] == (6, 6)
    assert [row.item.asked for row in rows] == [row.item.reference.replace("answer", "question") for row in rows]
    assert all(row.item.origin.startswith(f"{tmp_path / 'rows.jsonl'}:") for row in rows)
    assert loss_of(compared).value != 0
    assert [row.before.answer.text for row in rows] != [row.after.answer.text for row in rows]
    assert sha256_folder(run.adapter) == before


def test_comparing_again_gives_the_same_bytes_greedy_and_sampled_and_runs_no_model(make_run, monkeypatch):
    run = make_run()
    for settings in ({}, {"temperature": 1.0}):
        compare_run(run, **settings)
        files = run.report_file, run.rows_file, run.html_report_file
        first = [file.read_bytes() for file in files]
        with monkeypatch.context() as context:
            context.setattr("tunelab.flows.subject.load_model", lambda *_, **__: pytest.fail("a model was loaded"))
            compare_run(run, **settings)
        assert [file.read_bytes() for file in files] == first


def test_an_adapter_without_effect_gives_no_difference(make_run):
    compared = compare_run(make_run(trained=False))
    assert all(change.value == 0 for change in compared.report.tasks[0].figures if change.value is not None)
    assert {row.outcome for row in compared.rows} <= {"right", "wrong"}
    assert [change.increase for change in compared.report.general] == [0.0]


def test_rows_of_another_shape_can_be_compared_on(make_run, tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text('{"query": "question 1", "response": "answer 1"}\n{"query": "why?", "response": "because"}\n')
    compared = compare_run(make_run(), file=file, num_examples=50)
    assert [row.item.reference for row in in_order(compared)] == ["answer 1", "because"]
    assert "questions.jsonl" in compared.report.data
    task = compared.report.tasks[0]
    assert task.figure("chrf").interval is None
    exact = task.figure("exact_match").interval
    assert exact.high - exact.low > 0.9  # of two rows
    with pytest.raises(DataError, match=r"absent\.jsonl"):
        compare_run(Run(path=tmp_path / "runs" / "one"), file=tmp_path / "absent.jsonl")


def test_rows_that_were_trained_on_are_counted(make_run, tmp_path):
    rows = (tmp_path / "rows.jsonl", tmp_path / "seen.jsonl")
    run = make_run()
    rows[1].write_text(rows[0].read_text())
    compared = compare_run(run, file=rows[1], num_examples=40)
    assert compared.report.num_in_training == 28  # of 40, twelve were held out
    assert "28 rows have a prompt that was trained on" in " ".join(caveats(compared.report))
    assert compare_run(run).report.num_in_training == 0


def test_plain_text_is_judged_by_its_loss_alone(make_run, tmp_path):
    (tmp_path / "text.txt").write_text("".join(f"The courier brought parcel {row}.\n" for row in range(30)))
    compared = compare_run(make_run(train_files=["text.txt"], eval_fraction=0.5))
    assert compared.rows == []
    assert [change.name for change in compared.report.tasks[0].figures] == ["loss", "perplexity", "bits_per_byte"]
    assert loss_of(compared).after.value is not None
    assert "plain text" in compared.report.left_out[0].reason


def test_labels_are_scored_by_the_probability_of_the_whole_answer(make_run, tmp_path):
    labels = ["low", "high", "high risk"]
    rows = [{"query": f"question {row}", "response": labels[row % 3]} for row in range(30)]
    file = tmp_path / "labels.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    compared = compare_run(make_run(), file=file, num_examples=30)
    task = compared.report.tasks[0]
    assert task.kinds == ("generation", "labels", "loss")
    assert task.labels == ("high", "high risk", "low")
    assert task.first_figure == "accuracy"
    for row in compared.rows:
        probabilities = np.exp(row.after.choice_log_probs)
        assert 0 < probabilities.sum() <= 1  # with their end of turn they exclude each other
        place = task.labels.index(row.item.label)
        assert row.after.nats == pytest.approx(-row.after.choice_log_probs[place], rel=1e-5)
    assert set(task.calibration) == {"before", "after"}
    assert np.array(task.confusion["after"].counts).sum() == 30
    assert {each.value for each in task.slices if each.slice_field == "label"} == set(labels)


def test_a_label_that_the_choices_do_not_know_is_named_with_its_line(make_run, tmp_path):
    (tmp_path / "rows2.jsonl").write_text('{"query": "a", "response": "yes"}\n{"query": "b", "response": "perhaps"}\n')
    suite = tmp_path / "suite.yaml"
    suite.write_text('tasks: [{name: answers, rows: rows2.jsonl, labels: ["yes", "no"]}]\n')
    with pytest.raises(DataError, match=r'rows2\.jsonl:2: the label "perhaps" is none; expected one of the 2 labels'):
        compare_run(make_run(), suite=str(suite))
    suite.write_text('tasks: [{name: answers, rows: rows2.jsonl, labels: ["yes", "YES!"]}]\n')
    with pytest.raises(DataError, match='the labels "yes" and "YES!" are one and the same'):
        compare_run(Run(path=tmp_path / "runs" / "one"), suite=str(suite))


@pytest.mark.parametrize("after_parts", range(1, 9))
def test_a_killed_evaluation_goes_on_and_ends_with_the_same_bytes(make_run, monkeypatch, after_parts):
    run = make_run()
    compare_run(run)
    files = run.report_file, run.rows_file, run.html_report_file
    expected = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    shutil.rmtree(run.path.parent.parent / "evaluations")
    add, kept = AnswerCache.add, []

    def killed(self, some):
        if len(kept) == after_parts:
            half = dict(list(some.items())[: len(some) // 2])
            add(self, half)
            with self._file.open("ab") as file:
                file.write(b'{"key": "cut')
            raise KeyboardInterrupt
        kept.append(some)
        add(self, some)

    with monkeypatch.context() as context:
        context.setattr(AnswerCache, "add", killed)
        try:
            compare_run(run)
        except KeyboardInterrupt:
            assert not run.report_file.exists()
    compare_run(run)
    assert [file.read_bytes() for file in files] == expected


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
    plain = compare_run(run)
    monkeypatch.setenv("LLM_EVALUATION__NUM_EXAMPLES", "2")
    monkeypatch.setenv("LLM_DATA__SYSTEM_PROMPT", "be rude")
    (tmp_path / ".env").write_text("LLM_EVALUATION__TEMPERATURE=2\n")
    assert compare_run(run) == plain


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
