"""From two evaluations over a judge and a person to a report, which `compare` makes again without either."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from judge_server import MODEL, judge_server, prefers, reply, shown_answers
from judged_rows import judged_row

from tunelab.cli.main import run as tunelab
from tunelab.errors import RunError, UserError
from tunelab.evaluation.judging.config import JudgeConfig
from tunelab.evaluation.reports.report import ModelRecord
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow, WrittenAnswer
from tunelab.evaluation.rows.evaluation_store import Evaluation, EvaluationFolder, TaskRecord
from tunelab.events import EventLog, Notice
from tunelab.flows.compare import compare_models, report_json
from tunelab.flows.judging import kept_report, open_judge
from tunelab.flows.rate import sitting
from tunelab.flows.rated_rows import rated_rows
from tunelab.workspace import Workspace, find_workspace

Evaluations = tuple[Evaluation, Evaluation]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return find_workspace(tmp_path)


@pytest.fixture
def evaluated(workspace: Workspace) -> Callable[..., Evaluations]:
    """Return a function that stores what base and tuned model answered to each row."""

    def store(answers: list[tuple[str, str]], *, label: str | None = None) -> Evaluations:
        folder, made = EvaluationFolder(workspace=workspace.path), []
        rows = [judged_row(number, before, after) for number, (before, after) in enumerate(answers)]
        items = [row.item for row in rows]
        if label is not None:
            items = [
                type(item)(**{name: getattr(item, name) for name in item.__slots__} | {"label": label})
                for item in items
            ]
        folder.write_items("suite0", items, config="{}")
        for place, name in enumerate(("base:org/Small-1B", "tuned")):
            model = ModelRecord(
                name=name, base_model="org/Small-1B", adapter="", template_sha256="t", weights_sha256=f"{place}" * 64
            )
            evaluation = Evaluation(
                suite="suite0",
                data="rows",
                model=model,
                sampling={},
                seed=1,
                tasks=(TaskRecord(name="rows", kinds=("generation",)),),
            )
            texts = [each[place] for each in answers]
            folder.write(
                evaluation,
                [
                    EvaluatedRow(item=item, answer=WrittenAnswer(text=text, num_tokens=2, stopped=True))
                    for item, text in zip(items, texts, strict=True)
                ],
            )
            made.append(evaluation)
        return made[0], made[1]

    return store


def config_of(endpoint: str, **settings: object) -> JudgeConfig:
    return JudgeConfig.model_validate({"endpoint": endpoint, "model": MODEL, "criteria": ("relevance",), **settings})


def test_compare_shows_what_a_judge_and_a_person_said_and_asks_no_one(
    evaluated: Callable[..., Evaluations], workspace: Workspace
) -> None:
    evaluations = evaluated([(f"bad {each}", f"good {each}") for each in range(30)])
    assert compare_models("base:org/Small-1B", "tuned", workspace).report.judge is None
    notices: list[str] = []
    listener = lambda event: notices.append(event.text) if isinstance(event, Notice) else None  # noqa: E731
    with judge_server(prefers("good")) as served, EventLog(None, [listener]) as events:
        judge = open_judge(config_of(served.endpoint), {})
        assert judge.most_cost(num_rows=30, num_pairs=1) == "judge: at most 63 calls"
        judge.ask(*evaluations, workspace, events=events)
        judge.ask(*evaluations, workspace, events=events)
        assert len(served.bodies) == 63
    assert notices == ["judge: 63 calls.", "judge: 0 calls; 63 more are kept."]
    found = rated_rows("tuned", "base", workspace)
    with sitting(found.rows, judge.record.criteria, rater="ana", file=found.file, num_rows=30) as seat:
        while seat.question is not None:
            is_odd = int(seat.question.row.item.id, 16) % 2
            seat.rate(0 if is_odd else 1)
    report = compare_models("base:org/Small-1B", "tuned", workspace).report.judge
    assert report is not None
    assert (report.pairs[0].wins, report.pairs[0].agreement.num_rows, report.pairs[0].repeat_rate) == (30, 30, 1.0)
    assert report == kept_report(*evaluations, workspace)
    whole = compare_models("base:org/Small-1B", "tuned", workspace).report
    assert msgspec.json.decode(report_json(whole), type=type(whole)).judge == report


def test_what_was_judged_of_other_answers_is_not_shown(
    evaluated: Callable[..., Evaluations], workspace: Workspace
) -> None:
    evaluations = evaluated([("bad", "good")] * 2)
    with judge_server(prefers("good")) as served:
        open_judge(config_of(served.endpoint), {}).ask(*evaluations, workspace)
    assert kept_report(*evaluated([("bad", "better")] * 2), workspace) is None


def test_a_rubric_of_ones_own_takes_the_place_of_the_five_criteria_and_is_kept(
    evaluated: Callable[..., Evaluations], workspace: Workspace, tmp_path: Path
) -> None:
    rubric = tmp_path / "rubric.yaml"
    rubric.write_text("criteria:\n  - {name: tone, question: Is it polite?}\n")
    evaluations = evaluated([("bad", "good")])
    with judge_server(prefers("good")) as served:
        config = JudgeConfig(endpoint=served.endpoint, model=MODEL, rubric=str(rubric))
        open_judge(config, {}).ask(*evaluations, workspace)
    rubric.unlink()
    report = kept_report(*evaluations, workspace)
    assert report is not None
    assert [each.criterion for each in report.pairs] == ["tone"]


def test_labels_are_right_or_wrong_and_need_no_judge(
    evaluated: Callable[..., Evaluations], workspace: Workspace
) -> None:
    evaluations = evaluated([("bad", "good")], label="good")
    with judge_server(prefers("good")) as served:
        open_judge(config_of(served.endpoint), {}).ask(*evaluations, workspace)
    assert served.bodies == []


def test_a_judge_that_only_likes_length_is_seen_through_from_end_to_end(
    evaluated: Callable[..., Evaluations], workspace: Workspace
) -> None:
    """The later answers are mostly longer, and the judge takes the longer one: raw and controlled rates part."""
    sizes = np.random.default_rng(5).integers(-20, 60, 60)
    evaluations = evaluated([("y" * 40, "x" * (40 + int(size))) for size in sizes])

    def behave(handler, body, _: int) -> None:
        first, second = map(len, shown_answers(body))
        better = "tie" if first == second else ("first" if first > second else "second")
        reply(handler, {"reason": "", "better": better})

    with judge_server(behave) as served:
        open_judge(config_of(served.endpoint, repeat_share=0), {}).ask(*evaluations, workspace)
    report = kept_report(*evaluations, workspace)
    assert report is not None
    (figures,) = report.pairs
    assert figures.win_rate is not None
    assert figures.controlled_win_rate is not None
    assert figures.win_rate > 0.65
    assert figures.controlled_win_rate < figures.win_rate - 0.1
    assert figures.interval is not None
    assert not figures.interval.holds(0.5)
    assert figures.controlled_interval is not None
    assert figures.controlled_interval.holds(0.5)


def test_calls_without_an_answer_are_reported_with_what_to_do(
    evaluated: Callable[..., Evaluations], workspace: Workspace
) -> None:
    evaluations = evaluated([("bad", "good")])
    notices: list[str] = []
    events = EventLog(None, [lambda event: notices.append(event.text) if isinstance(event, Notice) else None])
    with judge_server(lambda handler, _, __: reply(handler, "no", status=500)) as served:
        open_judge(config_of(served.endpoint, max_retries=0), {}).ask(*evaluations, workspace, events=events)
    assert notices[1:] == [
        "judge: 3 calls without an answer (the server answered 500); the same command makes them again."
    ]


def test_a_missing_key_is_an_error_before_a_model_is_asked() -> None:
    with pytest.raises(UserError, match="JUDGE_KEY is not set"):
        open_judge(config_of("http://127.0.0.1:1/v1", key="JUDGE_KEY"), {})


def test_a_damaged_record_is_named(evaluated: Callable[..., Evaluations], workspace: Workspace) -> None:
    evaluations = evaluated([("bad", "good")])
    folder = EvaluationFolder(workspace=workspace.path).model_folder("suite0", evaluations[1].model)
    (folder / "judge.json").write_text(json.dumps({"config": {}}))
    with pytest.raises(RunError, match=r"judge\.json: this record of a judge is damaged"):
        kept_report(*evaluations, workspace)


def test_rating_reads_the_newest_suite_that_both_were_asked_by(
    evaluated: Callable[..., Evaluations], workspace: Workspace
) -> None:
    evaluated([("bad", "good"), ("same", "same")])
    both, alone = rated_rows("tuned", "base", workspace), rated_rows("tuned", None, workspace)
    assert [row.before and row.before.text for row in both.rows] == ["bad", "same"]
    assert [row.before for row in alone.rows] == [None, None]
    assert both.file == alone.file
    for model, against in (("other", None), ("tuned", "other")):
        with pytest.raises(RunError, match="not evaluated"):
            rated_rows(model, against, workspace)


def test_rate_goes_from_the_command_line_to_the_file(
    evaluated: Callable[..., Evaluations], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    evaluated([("bad", "good")])
    monkeypatch.chdir(workspace.path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"t\n" * 5)))
    assert tunelab(["rate", "tuned", "--against", "base"]) == 0
    (file,) = workspace.path.rglob("ratings.jsonl")
    assert file.read_bytes().count(b'"value":0') == 5
