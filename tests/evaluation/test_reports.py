"""From two stored evaluations to a report."""

from dataclasses import replace

import pytest

from evaluated_rows import evaluated
from tunelab.errors import RunError
from tunelab.evaluation.reports.build import Side, build_report
from tunelab.evaluation.reports.report import ModelRecord
from tunelab.evaluation.reports.words import caveats, headline, rows_in_words
from tunelab.evaluation.rows.evaluation_store import Evaluation, EvaluationFolder, GeneralLoss, TaskRecord


def side(name, is_right, **changes):
    model = ModelRecord(
        name=name, base_model="nano", adapter="" if name == "base:nano" else "LoRA", template_sha256="t",
        weights_sha256=name * 12,
    )  # fmt: skip
    evaluation = Evaluation(
        suite="s", data="rows", model=model, sampling={"seed": 1}, seed=1,
        tasks=(TaskRecord(name="rows", kinds=("generation",)),), **changes,
    )  # fmt: skip
    rows = [
        evaluated(f"answer {n}" if right else "no idea", f"answer {n}", number=n, stopped=n != 3)
        for n, right in enumerate(is_right)
    ]
    return Side(evaluation=evaluation, rows=rows)


def half_and(num_right, **changes):
    return side("base:nano", [n % 2 == 0 for n in range(60)]), side(
        "run", [n < num_right for n in range(60)], **changes
    )


def test_rows_that_broke_come_first_and_every_row_is_counted():
    report, rows = build_report(*half_and(50))
    assert [row.outcome for row in rows] == ["broken"] * 5 + ["wrong"] * 5 + ["fixed"] * 25 + ["right"] * 25
    assert rows_in_words(rows) == "25 rows fixed, 5 broken, 30 unchanged (25 right, 5 wrong)."
    task = report.tasks[0]
    assert task.figure("exact_match").value == pytest.approx(20 / 60)
    assert task.verdicts["exact_match"] == "better"
    assert headline(report) == "The tuned model is better: exact match 50.0\u00a0% before, 83.3\u00a0% after."
    assert report.num_cut == 1
    assert "1 answer (2 %)" in " ".join(caveats(report))


def test_a_change_within_the_noise_floor_is_not_called_one():
    assert build_report(*half_and(50, noise_floor=0.4))[0].tasks[0].verdicts["exact_match"] == "not shown"
    assert build_report(*half_and(50, noise_floor=0.1))[0].tasks[0].verdicts["exact_match"] == "better"


def test_without_an_exact_answer_the_verdict_is_that_of_closeness():
    report, _ = build_report(side("base:nano", [False] * 20), side("run", [False] * 20))
    assert report.tasks[0].first_figure == "mean_chrf"


def test_general_text_is_measured_by_the_same_texts_alone():
    texts = tuple(f"t{n}" for n in range(20))
    before = GeneralLoss(name="general", texts=texts, nats=(2.0,) * 20, num_tokens=(4,) * 20)
    after = replace(before, nats=tuple(3.0 + n % 2 for n in range(20)))
    (change,) = build_report(
        side("base:nano", [True] * 9, general=(before,)), side("run", [True] * 9, general=(after,))
    )[0].general
    assert (change.before, change.after, change.increase) == (0.5, 0.875, 0.375)
    assert 0.3 < change.interval.low < 0.375 < change.interval.high < 0.45
    other = replace(after, texts=("x", *texts[1:]))
    assert not build_report(
        side("base:nano", [True] * 9, general=(before,)), side("run", [True] * 9, general=(other,))
    )[0].general


def test_a_base_model_that_answered_no_general_prompt_has_no_such_figure():
    nothing = GeneralLoss(name="general", texts=(), nats=(), num_tokens=())
    sides = (side(name, [True] * 9, general=(nothing,)) for name in ("base:nano", "run"))
    assert build_report(*sides)[0].general == ()


def test_evaluations_of_other_suites_or_templates_are_not_compared():
    first, second = half_and(50)
    with pytest.raises(RunError, match=r"base:nano and run were evaluated by different suites \(s, t\)"):
        build_report(first, replace(second, evaluation=replace(second.evaluation, suite="t")))
    model = replace(second.evaluation.model, template_sha256="u")
    with pytest.raises(RunError, match="different chat templates of the same base model"):
        build_report(first, replace(second, evaluation=replace(second.evaluation, model=model)))


@pytest.mark.parametrize("file", ["evaluation.json", "rows.jsonl", "../items.jsonl"])
@pytest.mark.parametrize("content", [b"", b"{", b'{"id": "zz"}\n', None])
def test_a_damaged_evaluation_is_one_clear_error(tmp_path, file, content):
    own = half_and(50)[1]
    folder = EvaluationFolder(workspace=tmp_path)
    folder.write_items("s", [row.item for row in own.rows], config="{}")
    folder.write(own.evaluation, own.rows)
    assert folder.read("s", own.evaluation.model) == (own.evaluation, own.rows)
    path = folder.model_folder("s", own.evaluation.model) / file
    path.unlink() if content is None else path.write_bytes(content)
    if file == "rows.jsonl" and content == b"":
        assert folder.read("s", own.evaluation.model)[1] == []
        return
    with pytest.raises(RunError, match=r"damaged|no evaluation here"):
        folder.read("s", own.evaluation.model)
