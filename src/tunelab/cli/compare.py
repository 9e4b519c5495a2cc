"""`tunelab compare RUN`: base model against tuned model on the same held-out rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunelab.cli.console import console, harmless, named, print_table, say
from tunelab.cli.setting_flags import SettingFlags
from tunelab.errors import counted
from tunelab.evaluation.config import EvaluationConfig
from tunelab.events import AnyEvent, EventLog, Listener, Notice, Progress
from tunelab.workspace import find_workspace

if TYPE_CHECKING:
    from tunelab.evaluation.report import ComparedRow, Report
    from tunelab.workspace import Run

_SHOWN_CHARACTERS = 600


FLAGS = SettingFlags(EvaluationConfig, section="evaluation")


@FLAGS.added_to
def command(
    run: Annotated[str, typer.Argument(metavar="RUN", hidden=True)],
    *,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of sampled answers. Default: the recipe's training.seed.")
    ] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Compare on the rows of this file.")] = None,
    show: Annotated[int, typer.Option(min=0, metavar="N", help="Answers shown side by side.")] = 3,
    **settings: Any,
) -> None:
    """Compare base and tuned model on the same held-out rows; write report.json and report.html into the run.

    RUN is a run's id, the beginning of one, its folder, or the word latest.
    """
    given = FLAGS.read(EvaluationConfig, settings).model_dump(exclude_unset=True)
    found = find_workspace(Path.cwd()).find_run(run)
    compare_and_print(found, show=show, file=file, seed=seed, **given)


def compare_and_print(run: Run, *, show: int, file: Path | None = None, **settings: Any) -> Report:
    """Compare a run's base and tuned model, print the result and return it; `settings` as `compare_run` takes them."""
    from tunelab.flows.compare import compare_run  # brings torch: not before the arguments are known to be good

    with _progress() as listener, EventLog(None, [listener]) as events:
        report = compare_run(run, file=file, events=events, **settings)
    print_report(report, show=show)
    say(f"Report: {named(run.html_report_file)}")
    return report


def print_report(report: Report, *, show: int) -> None:
    """Print the verdict, the totals, what was left out, and `show` rows side by side."""
    from tunelab.evaluation.report_words import headline, how_sure, totals_table

    rows = _spread(report.rows, show)
    for row in rows:
        _print_row(row)
    if rows:
        say(f"Shown: {len(rows)} of {counted(len(report.rows), 'row')}; --show N shows more.\n", style="dim")
    lines = totals_table(report)
    print_table(
        ["Measure", "Base", "Tuned", "Difference", "95 % interval"],
        [(line.name, line.base, line.tuned, line.difference, line.interval) for line in lines],
    )
    say(how_sure(report), style="dim")
    for some in report.left_out:
        say(f"Not answered: {some.count:,} × {some.reason} (first: {harmless(some.example)})", style="dim")
    say(headline(report), style="bold")


def _spread(rows: tuple[ComparedRow, ...], count: int) -> list[ComparedRow]:
    count = min(count, len(rows))
    return [rows[index * len(rows) // count] for index in range(count)]


def _print_row(row: ComparedRow) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.ROUNDED, expand=True, title_justify="left", title_style="", show_lines=False)
    table.title = Text(f"{row.question.origin}\n{_cut(row.question.asked)}", style="dim")
    cells = []
    for name, text, right in (
        ("reference", row.question.reference, None),
        ("base", row.base.text, row.base.exact),
        ("tuned", row.tuned.text, row.tuned.exact),
    ):
        mark = {None: "", True: " = equal", False: " ≠ differs"}[right]
        style = {None: "", True: "green", False: "yellow"}[right]
        table.add_column(Text(name + mark, style=style), ratio=1, overflow="fold")
        cells.append(Text(_cut(text) or "(no text)"))
    table.add_row(*cells)
    console().print(table, soft_wrap=False)


def _cut(text: str) -> str:
    text = harmless(text.strip())
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " …"


@contextmanager
def _progress() -> Iterator[Listener]:
    from rich import progress as rich

    text, bar = rich.TextColumn("{task.description}"), rich.BarColumn()
    columns = (text, bar, rich.MofNCompleteColumn(), rich.TimeRemainingColumn())
    bars = rich.Progress(*columns, console=console(stderr=True), transient=True)
    tasks: dict[str, rich.TaskID] = {}

    def listener(event: AnyEvent) -> None:
        if isinstance(event, Progress) and event.unit == "answers":
            if event.stage not in tasks:
                bars.start()  # the first time: an error before it leaves no empty line
                tasks[event.stage] = bars.add_task(f"{event.stage} answers", total=event.total)
            bars.update(tasks[event.stage], completed=event.done)
        elif isinstance(event, Notice):
            say(event.text, style="dim", stderr=True)

    try:
        yield listener
    finally:
        if tasks:
            bars.stop()
