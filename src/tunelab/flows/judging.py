"""Judge: from the stored answers of two models to what a judge says of them, asked or kept."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tunelab.errors import RunError, counted
from tunelab.evaluation.judging.asks import Ask, JudgedRow, joined_rows, most_calls, plan_asks
from tunelab.evaluation.judging.calls import JUDGEMENTS_FILE, JudgeAnswers, kept_judgements, make_calls
from tunelab.evaluation.judging.client import JudgeClient
from tunelab.evaluation.judging.config import JudgeConfig
from tunelab.evaluation.judging.figures import JudgeReport, judge_report
from tunelab.evaluation.judging.judge_words import cost
from tunelab.evaluation.judging.line_file import LineFile
from tunelab.evaluation.judging.ratings import RATINGS_FILE, Rating
from tunelab.evaluation.judging.rubric import Criterion, named_criteria
from tunelab.evaluation.rows.evaluation_store import Evaluation, EvaluationFolder
from tunelab.events import SILENT, EventLog, Notice, Progress
from tunelab.files import write_file
from tunelab.flows.rate import read_rubric
from tunelab.workspace import Workspace

_RECORD_FILE = "judge.json"


class JudgeRecord(BaseModel):
    """Who judges by what: kept next to the judgements, so that they are read without the suite and its rubric."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: JudgeConfig
    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyJudge:
    """A judge that can be asked: its key is there, its rubric was read."""

    record: JudgeRecord
    client: JudgeClient

    def most_cost(self, *, num_rows: int, num_pairs: int) -> str:
        """Return what asking costs at most, in words."""
        record = self.record
        calls = most_calls(record.config, num_criteria=len(record.criteria), num_rows=num_rows)
        return f"judge: at most {counted(calls * num_pairs, 'call')}"

    def ask(self, before: Evaluation, after: Evaluation, workspace: Workspace, *, events: EventLog = SILENT) -> None:
        """Ask about all answers of two models what is not kept yet; `kept_report` then has the figures.

        Raises:
            UserError: the judge refuses or does not answer. What was judged is kept.
            StorageError: a judgement cannot be kept.
        """
        folder = EvaluationFolder(workspace=workspace.path).model_folder(after.suite, after.model)
        asks = _asks(self.record, _rows(before, after, workspace))
        file = folder / JUDGEMENTS_FILE
        write_file(folder / _RECORD_FILE, self.record.model_dump_json(indent=2) + "\n")
        events.emit(Notice(code="judge", text=f"{cost(asks, kept_judgements(asks, file))}."))
        answers = make_calls(
            asks,
            self.record.config,
            file,
            self.client,
            on_done=lambda done, total: events.emit(Progress(stage="judge", done=done, total=total, unit="judgements")),
        )
        for reason, count in sorted(answers.faults.items()):
            text = f"judge: {counted(count, 'call')} without an answer ({reason}); the same command makes them again."
            events.emit(Notice(code="judge", text=text))


def open_judge(config: JudgeConfig, environment: Mapping[str, str] = os.environ) -> ReadyJudge:
    """Return a judge; nothing is sent.

    Args:
        config: the name of its rubric absolute.
        environment: where its key is.

    Raises:
        UserError: the key is missing.
        RecipeError: the rubric cannot be read.
    """
    criteria = read_rubric(Path(config.rubric)) if config.rubric else named_criteria(config.criteria)
    record = JudgeRecord(config=config, criteria=criteria)
    return ReadyJudge(record=record, client=JudgeClient(config, environment))


def kept_report(before: Evaluation, after: Evaluation, workspace: Workspace) -> JudgeReport | None:
    """Return what the judge that was asked last said of two models' answers, and people; None if none was asked.

    No one is asked now.

    Raises:
        RunError: a file is damaged.
    """
    folder = EvaluationFolder(workspace=workspace.path).model_folder(after.suite, after.model)
    record = _read_record(folder / _RECORD_FILE)
    if record is None:
        return None
    rows = _rows(before, after, workspace)
    asks = _asks(record, rows)
    kept = kept_judgements(asks, folder / JUDGEMENTS_FILE)
    if asks and not kept:
        return None
    return judge_report(
        record.config,
        record.criteria,
        rows,
        asks,
        JudgeAnswers(judgements=kept, num_asked=0, faults={}),
        ratings=LineFile(folder / RATINGS_FILE, Rating).read(),
        base_model=after.model.base_model,
        seed=after.seed,
    )


def _asks(record: JudgeRecord, rows: Sequence[JudgedRow]) -> list[Ask]:
    return plan_asks(record.config, record.criteria, rows)


def _rows(before: Evaluation, after: Evaluation, workspace: Workspace) -> list[JudgedRow]:
    folder = EvaluationFolder(workspace=workspace.path)
    (_, old), (_, new) = folder.read(before.suite, before.model), folder.read(after.suite, after.model)
    return joined_rows(new, old)


def _read_record(file: Path) -> JudgeRecord | None:
    try:
        return JudgeRecord.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        remedy = "Run tunelab evaluate again: kept judgements are not asked for again."
        raise RunError("this record of a judge is damaged", where=str(file), remedy=remedy) from error
