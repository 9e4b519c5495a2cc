"""`tunelab evaluate`: a model answers the rows of a suite; its answers are kept, and compared with other models'."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tunelab.cli.answer_progress import answer_progress
from tunelab.cli.console import named, say
from tunelab.cli.setting_flags import SettingFlags
from tunelab.errors import UserError, did_you_mean
from tunelab.evaluation.config import EvaluationConfig
from tunelab.events import EventLog
from tunelab.workspace import find_workspace

FLAGS = SettingFlags(EvaluationConfig, section="evaluation", without=("num_examples",))


@FLAGS.added_to
def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", hidden=True)],
    *,
    suite: Annotated[Path | None, typer.Option(metavar="FILE", help="Tasks, slices and trials.")] = None,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="MODEL", help="Compare with this model, too; base is its own. Repeatable."),
    ] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Ask the rows of this file.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, metavar="N", help="Answer at most N rows of each task.")] = None,
    tasks: Annotated[
        str | None, typer.Option(metavar="PARTS", help="Measure only these, e.g. generation,loss,general.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it can show and what it costs; ask nothing.")
    ] = False,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of sampled answers and resamples.")] = None,
    show: Annotated[int, typer.Option(min=0, metavar="N", help="Answers shown side by side.")] = 0,
    **settings: Any,
) -> None:
    """Let a model answer held-out rows and keep its answers.

    MODEL is a run's id, the beginning of one, its folder, the word latest, an adapter's folder, or base:NAME for a base
    model. What was asked before is not asked again: a killed evaluation goes on, and a second one runs no model, unless
    it measures latency.
    """
    from tunelab.flows.evaluating.evaluate import evaluate, plan_evaluation
    from tunelab.flows.evaluating.find_models import find_model, find_other
    from tunelab.flows.evaluating.forecast import forecast
    from tunelab.flows.evaluating.suite import read_suite, suite_of
    from tunelab.flows.judging import open_judge

    given = FLAGS.read(EvaluationConfig, settings).model_dump(exclude_unset=True)
    parts = _parts(tasks)
    workspace = find_workspace(Path.cwd())
    first = find_model(model, workspace)
    recipe = first.parts.recipe
    if suite is not None:
        plan_of = read_suite(suite)
        changes = {**given, **({"num_rows": rows} if rows else {}), **({"seed": seed} if seed is not None else {})}
        plan_of = type(plan_of).model_validate(plan_of.model_dump() | changes)
    else:
        changed = {"compare_file": str(file) if file else None, "num_examples": rows, **given}
        evaluation = recipe.evaluation.changed(**changed)
        plan_of = suite_of(evaluation, seed=recipe.training.seed if seed is None else seed)
    others = [find_other(name, first, workspace) for name in against or []]
    with answer_progress() as listener, EventLog(None, [listener]) as events:
        plan = plan_evaluation(first, plan_of, parts=parts, events=events)
        for line in forecast(plan, num_models=1 + len(others)):
            say(line)
        judge = open_judge(plan_of.judge) if plan_of.judge is not None and others else None
        if judge is not None:
            say(judge.most_cost(num_rows=plan.num_judged, num_pairs=len(others)))
        if dry_run:
            return
        evaluations = evaluate(plan, [*others, first], workspace, events=events)
        if judge is not None:
            for other in evaluations[:-1]:
                judge.ask(other, evaluations[-1], workspace, events=events)
    folder = workspace.path / "evaluations" / plan.suite_id
    for other in evaluations[:-1]:
        from tunelab.cli.report_lines import print_report
        from tunelab.flows.compare import compare_evaluations

        print_report(compare_evaluations(other, evaluations[-1], workspace), show=show)
    if not others:
        from tunelab.cli.figure_lines import print_figures

        print_figures(evaluations[-1], workspace)
    say(f"Rows: {named(folder)}")


def _parts(text: str | None) -> tuple[Any, ...]:
    from tunelab.flows.evaluating.evaluate import PARTS

    if text is None:
        return PARTS
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in parts:
        if part not in PARTS:
            raise UserError(f'nothing to measure is called "{part}"', where="--tasks", remedy=did_you_mean(part, PARTS))
    return parts
