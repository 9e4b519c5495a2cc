"""What `tunelab clean` did, rule by rule, class by class, and where the rows are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tunelab.cli.console import harmless, print_table, say
from tunelab.errors import counted

if TYPE_CHECKING:
    from tunelab.cleaning.clean_report import CleanReport, RuleCount

_NO_LABEL = "(none)"


def print_report(report: CleanReport, out: str, *, splits: bool, flag_of: Callable[[str], str]) -> None:
    """Print what the rows were taken for, what was done, rule by rule, and where the rows are."""
    from tunelab.cleaning.output.output_files import companion_files

    for note in filter(None, (*report.notes, report.compared)):
        say(harmless(f"  {note}"), style="dim")
    for title, counts in (
        ("changed", report.changed),
        ("rejected", report.rejected),
        ("not sampled", report.not_sampled),
        ("found, and left in", report.reported),
    ):
        _print_counts(title, counts)
    _print_counts("no label", report.unlabelled)
    for each in report.unlabelled:
        remedy = "" if each.rule == "answer" else f" Correct {flag_of(each.rule)} if they should have one."
        say(f"    They count as one class of their own, {_NO_LABEL}.{remedy}")
    if report.classes:
        columns = ("class", "rows", "of them test") if report.num_test else ("class", "rows")
        rows = [
            (harmless(label) or _NO_LABEL, train + test, test)[: len(columns)]
            for label, (train, test) in sorted(report.classes.items(), key=lambda each: (-sum(each[1]), each[0]))
        ]
        print_table(columns, rows)
    sides = f" ({report.num_train:,} to train on, {report.num_test:,} to test with)" if report.num_test else ""
    drawn = f", {report.num_not_sampled:,} not sampled" if report.num_not_sampled else ""
    say()
    say(
        f"{counted(report.num_read, 'row')} read: {report.num_kept:,} kept{sides}, "
        f"{report.num_rejected:,} rejected{drawn}.",
        style="bold",
    )
    rejected, report_file = (path.name for path in companion_files(Path(out), splits=splits))
    place = (
        f"the folder {out}, with {rejected} and {report_file}"
        if splits
        else f"{out}; {rejected} and {report_file} lie next to it"
    )
    say(f"Written to {place}.")


def _print_counts(title: str, counts: tuple[RuleCount, ...]) -> None:
    for each in counts:
        say(f"{title}  {each.rule}: {counted(each.count, 'row')}", style="bold")
        for example in each.examples:
            say(harmless(f"    {example}"))
