"""Judge: from the stored answers of two models to what a judge says of them, asked or kept."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunelab.evaluation.judging.ask import Ask, JudgedRow, plan_asks
from tunelab.evaluation.judging.calls import JUDGEMENTS_FILE, JudgeAnswers, OnDone, kept_judgements, make_calls
from tunelab.evaluation.judging.client import JudgeClient
from tunelab.evaluation.judging.config import JudgeConfig
from tunelab.evaluation.judging.figures import JudgeReport, judge_report
from tunelab.evaluation.judging.line_file import LineFile
from tunelab.evaluation.judging.ratings import RATINGS_FILE, Rating
from tunelab.evaluation.judging.rubric import Criterion, named_criteria
from tunelab.evaluation.judging.words import cost
from tunelab.flows.rate import read_rubric


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgingPlan:
    """What a judge is to be asked of some rows."""

    config: JudgeConfig
    criteria: tuple[Criterion, ...]
    rows: Sequence[JudgedRow]
    asks: Sequence[Ask]
    folder: Path
    """Of the later model's evaluation: judgements and ratings are kept in it."""

    @property
    def judgements_file(self) -> Path:
        """Where judgements are kept."""
        return self.folder / JUDGEMENTS_FILE

    def cost(self) -> str:
        """Return what asking costs, in words.

        Raises:
            RunError: the kept judgements are damaged.
        """
        return cost(self.asks, kept_judgements(self.asks, self.judgements_file))


def plan_judging(config: JudgeConfig, rows: Sequence[JudgedRow], folder: Path) -> JudgingPlan:
    """Return what a judge is to be asked; nothing is sent.

    Args:
        config: of the judge, the name of its rubric absolute.
        rows: with the answers of both models.
        folder: of the later model's evaluation.

    Raises:
        RecipeError: the rubric cannot be read.
    """
    criteria = read_rubric(Path(config.rubric)) if config.rubric else named_criteria(config.criteria)
    asks = plan_asks(config, criteria, rows)
    return JudgingPlan(config=config, criteria=criteria, rows=rows, asks=asks, folder=folder)


def ask_judge(
    plan: JudgingPlan,
    *,
    environment: Mapping[str, str] = os.environ,
    base_model: str = "",
    seed: int,
    on_done: OnDone = lambda done, total: None,
) -> JudgeReport:
    """Ask a judge what is not kept yet, and return the figures.

    Args:
        plan: of `plan_judging`.
        environment: where the key is.
        base_model: of the models that are judged, by name.
        seed: of resamples.
        on_done: called after each call.

    Raises:
        UserError: the key is missing, or the judge refuses or does not answer. What was judged is kept.
    """
    client = JudgeClient(plan.config, environment)
    judged = make_calls(plan.asks, plan.config, plan.judgements_file, client, on_done=on_done)
    return _report(plan, judged, base_model, seed)


def kept_report(plan: JudgingPlan, *, base_model: str = "", seed: int) -> JudgeReport:
    """Return the figures of what is kept; no one is asked.

    Raises:
        RunError: a file is damaged.
    """
    kept = kept_judgements(plan.asks, plan.judgements_file)
    return _report(plan, JudgeAnswers(judgements=kept, num_asked=0, faults={}), base_model, seed)


def _report(plan: JudgingPlan, judged: JudgeAnswers, base_model: str, seed: int) -> JudgeReport:
    ratings = LineFile(plan.folder / RATINGS_FILE, Rating).read()
    return judge_report(
        plan.config,
        plan.criteria,
        plan.rows,
        plan.asks,
        judged,
        ratings=ratings,
        base_model=base_model,
        seed=seed,
    )
