"""`tunelab compare`: two models over the same rows, from what is stored of them; a run alone against its base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunelab.cli.answer_progress import answer_progress
from tunelab.cli.console import named, print_document, say
from tunelab.cli.setting_flags import SettingFlags
from tunelab.errors import UserError
from tunelab.evaluation.config import EvaluationConfig
from tunelab.events import EventLog
from tunelab.workspace import find_workspace

if TYPE_CHECKING:
    from tunelab.flows.compare import Compared
    from tunelab.workspace import Run

FLAGS = SettingFlags(EvaluationConfig, section="evaluation")


@FLAGS.added_to
def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", hidden=True)],
    other: Annotated[str | None, typer.Argument(metavar="[OTHER]", hidden=True)] = None,
    *,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of sampled answers. Default: the recipe's training.seed.")
    ] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Compare on the rows of this file.")] = None,
    suite: Annotated[Path | None, typer.Option(metavar="FILE", help="Compare by the tasks of this suite.")] = None,
    show: Annotated[int, typer.Option(min=0, metavar="N", help="Answers shown side by side.")] = 3,
    slice_field: Annotated[
        str | None, typer.Option("--slice", metavar="FIELD", help="Print the figures of each value of this field.")
    ] = None,
    regressions: Annotated[
        int, typer.Option(min=0, metavar="N", help="Rows shown that were right before and are wrong now.")
    ] = 0,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the page here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON instead.")] = False,
    **settings: Any,
) -> None:
    """Compare a run with its base, or two models that were evaluated.

    MODEL alone is a run: what is not stored yet is evaluated first; report.json, rows.jsonl and report.html are
    written into the run. With OTHER, which is the later one, both are read from what tunelab evaluate stored: no model
    runs.
    Models are named by a run's id, the beginning of one, its folder, the word latest, or base:MODEL.
    """
    given = FLAGS.read(EvaluationConfig, settings).model_dump(exclude_unset=True)
    workspace = find_workspace(Path.cwd())
    run = workspace.find_run(model) if other is None else None
    if run is not None:
        compared = compare_quietly(run, file=file, suite=suite, seed=seed, **given)
    else:
        if file is not None or suite is not None or seed is not None or given:
            remedy = "Evaluate both on them first: tunelab evaluate, which takes these options."
            raise UserError("two evaluations that are stored cannot be made on other rows or settings", remedy=remedy)
        from tunelab.flows.compare import compare_models

        compared = compare_models(model, str(other), workspace)
    if html is not None:
        _write_page(html, compared)
    if as_json:
        from tunelab.flows.compare import report_json

        print_document(report_json(compared.report))
        return
    from tunelab.cli.report_lines import print_report

    print_report(compared, show=show, regressions=regressions, slice_field=slice_field)
    if run is not None:
        say(f"Report: {named(run.html_report_file)}")


def compare_and_print(run: Run, *, show: int, file: Path | None = None, **settings: Any) -> Compared:
    """Compare a run with its base, print the result and return it; `settings` as `compare_run` takes them."""
    from tunelab.cli.report_lines import print_report

    compared = compare_quietly(run, file=file, **settings)
    print_report(compared, show=show)
    say(f"Report: {named(run.html_report_file)}")
    return compared


def compare_quietly(run: Run, *, suite: Path | None = None, **settings: Any) -> Compared:
    """Compare a run with its base and print nothing but how far it is."""
    from tunelab.flows.compare import compare_run

    with answer_progress() as listener, EventLog(None, [listener]) as events:
        return compare_run(run, events=events, suite=str(suite) if suite else None, **settings)


def _write_page(file: Path, compared: Compared) -> None:
    from tunelab.evaluation.reports.page.to_html import to_html
    from tunelab.files import write_file

    write_file(file, to_html(compared.report, compared.rows, ()))
