"""A report in the terminal: some answers side by side, the figures, what to be wary of, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunelab.cli.console import console, harmless, print_table, say
from tunelab.errors import RecipeError, counted, did_you_mean
from tunelab.evaluation.figures.figures_of import OF_A_CLASS
from tunelab.evaluation.judging.judge_words import judge_lines
from tunelab.evaluation.reports.numbers import in_words, interval_in_words
from tunelab.evaluation.reports.words import (
    caveats,
    column_names,
    general_in_words,
    headline,
    how_sure,
    rows_in_words,
    totals_table,
)

if TYPE_CHECKING:
    from tunelab.evaluation.reports.report import ComparedRow, Report, TaskReport
    from tunelab.evaluation.reports.words import Line
    from tunelab.flows.compare import Compared

_SHOWN_CHARACTERS = 600


def print_report(compared: Compared, *, show: int, regressions: int = 0, slice_field: str | None = None) -> None:
    """Print a report.

    Args:
        compared: the report and its rows.
        show: how many rows are shown side by side.
        regressions: how many rows are shown that were right and are wrong.
        slice_field: a field whose slices are printed.

    Raises:
        RecipeError: no row has that field.
    """
    report = compared.report
    names = column_names(report)
    broken = [row for row in compared.rows if row.outcome == "broken"][:regressions]
    rows = broken if regressions else _spread(_in_order(compared.rows), show)
    for row in rows:
        _print_row(row, names)
    if rows:
        what = "Shown: rows newly wrong" if regressions else "Shown"
        say(f"{what}: {len(rows)} of {counted(len(compared.rows), 'row')}; --show N shows more.\n", style="dim")
    elif regressions:
        say("No row that was right before is wrong now.\n", style="dim")
    for task in report.tasks:
        if len(report.tasks) > 1:
            say(task.name, style="bold")
        print_table(
            ["Measure", *names, "Difference", "95 % interval"],
            [
                (_titled(line, task), line.before, line.after, line.difference, line.interval)
                for line in totals_table(task)
                if not line.name.startswith(OF_A_CLASS)
            ],
        )
    say(how_sure(report), style="dim")
    if slice_field is not None:
        _print_slices(report, slice_field, names)
    for text in caveats(report):
        say(harmless(text), style="dim")
    if report.judge is not None:
        say(f"Judge {harmless(report.judge.model)}:")
        for text in judge_lines(report.judge):
            say(f"  {harmless(text)}")
    for task in report.tasks:
        if (found := task.robustness_loss) is not None:
            ends = interval_in_words("robustness_loss", found.interval)
            lost = in_words("robustness_loss", found.value)
            say(f"Changed prompts cost {lost} of the rows their right answer ({ends}); the page has each kind.")
    for change in report.general:
        what = "General text" if change.name == "general" else harmless(change.name)
        say(f"{what}: {general_in_words(change)}.")
    if compared.rows:
        say(rows_in_words(compared.rows))
    say(headline(report), style="bold")


def _titled(line: Line, task: TaskReport) -> str:
    """Return a figure's title, with the rows that it is of if they are others than those that were answered."""
    num_rows = task.figure(line.name).after.num_rows
    return line.title if num_rows == task.num_rows else f"{line.title} ({counted(num_rows, 'row')})"


def _in_order(rows: Sequence[ComparedRow]) -> list[ComparedRow]:
    """Return the rows as they lie in their file."""
    return sorted(rows, key=lambda row: _line_of(row.item.origin))


def _line_of(origin: str) -> tuple[str, int]:
    name, _, line = origin.rpartition(":")
    return name, int(line) if line.isdigit() else 0


def _spread(rows: Sequence[ComparedRow], count: int) -> list[ComparedRow]:
    count = min(count, len(rows))
    return [rows[index * len(rows) // count] for index in range(count)]


def _print_slices(report: Report, name: str, names: tuple[str, str]) -> None:
    for task in report.tasks:
        name_of = task.first_figure
        known = dict.fromkeys(each.slice_field for each in task.slices)
        if name not in known:
            raise RecipeError(f'no slices by "{name}"', where="--slice", remedy=did_you_mean(name, known))
        print_table(
            [name, "Rows", *names, "95 % interval", ""],
            [
                (
                    each.value,
                    each.change.after.num_rows,
                    in_words(name_of, each.change.before.value),
                    in_words(name_of, each.change.after.value),
                    interval_in_words(name_of, each.change.interval, of_difference=True),
                    "worth a look" if each.is_worth_a_look else "",
                )
                for each in task.slices
                if each.slice_field == name
            ],
        )


def _print_row(row: ComparedRow, names: tuple[str, str]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.ROUNDED, expand=True, title_justify="left", title_style="", show_lines=False)
    table.title = Text(f"{row.item.origin}\n{_cut(row.item.asked)}", style="dim")
    cells = []
    for name, text, right in (
        ("reference", row.item.reference, None),
        (names[0].lower(), row.before.answer.text if row.before.answer else "", row.outcome in ("right", "broken")),
        (names[1].lower(), row.after.answer.text if row.after.answer else "", row.outcome in ("right", "fixed")),
    ):
        mark = {None: "", True: " = right", False: " ≠ not right"}[right]
        style = {None: "", True: "green", False: "yellow"}[right]
        table.add_column(Text(name + mark, style=style), ratio=1, overflow="fold")
        cells.append(Text(_cut(text) or "(no text)"))
    table.add_row(*cells)
    console().print(table, soft_wrap=False)


def _cut(text: str) -> str:
    text = harmless(text.strip())
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " …"
