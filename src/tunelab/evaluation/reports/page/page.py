"""From a report and its rows to the page."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from tunelab.evaluation.gates.judge import GateVerdict
from tunelab.evaluation.reports.page.charts import gate_bar, interval_dot, reliability_plot
from tunelab.evaluation.reports.page.differences import mark_differences
from tunelab.evaluation.reports.page.slices import slice_lines
from tunelab.evaluation.reports.page.tiles import tiles_of
from tunelab.evaluation.reports.report import ComparedRow, Report
from tunelab.evaluation.reports.words import caveats, headline, how_sampled, how_sure, style_of, task_lines

# Longer texts lose their middle on the page (rows.jsonl keeps them whole): agents' prompts fill megabytes.
_TEXT_CHARACTERS = 6000
_PAGE_CHARACTERS = 1_500_000
"""Of all rows together; the others are counted, and lie in rows.jsonl."""
_PACKAGE = "tunelab.evaluation.reports.page"


def to_html(report: Report, rows: Sequence[ComparedRow], verdicts: Sequence[GateVerdict] = ()) -> str:
    """Return the page: verdict, gates, what changed, whether it can be trusted, and the rows, broken ones first."""
    style = files(_PACKAGE).joinpath("page.css").read_text(encoding="utf-8")
    shown = _that_fit(rows)
    return (
        _template()
        .render(
            report=report,
            headline=headline(report),
            verdicts=verdicts,
            tiles=tiles_of(report),
            tables=[(task, task_lines(task, with_classes=True), how_sure(task)) for task in report.tasks],
            slices=[(task, slice_lines(task)) for task in report.tasks],
            caveats=caveats(report),
            how_sampled=how_sampled(report.sampling),
            outcomes=Counter(row.outcome for row in rows),
            rows=shown,
            num_hidden=len(rows) - len(shown),
            style=Markup(style),
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        )
        .encode("utf-8", errors="replace")
        .decode()
    )


def _that_fit(rows: Sequence[ComparedRow]) -> list[ComparedRow]:
    """Return the first rows, as many as a page can hold that a browser opens at once."""
    left, shown = _PAGE_CHARACTERS, []
    for row in rows:
        texts = [
            row.item.asked,
            row.item.reference,
            *(side.answer.text for side in (row.before, row.after) if side.answer),
        ]
        left -= 700 + sum(min(len(text), _TEXT_CHARACTERS) for text in texts)
        if left < 0:
            break
        shown.append(row)
    return shown


def _shortened(text: str) -> str:
    if len(text) <= _TEXT_CHARACTERS:
        return text
    half = _TEXT_CHARACTERS // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n… {left_out:,} characters left out here; rows.jsonl has them …\n{text[-half:]}"


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(marked=mark_differences, shortened=_shortened)
    environment.globals.update(
        gate_bar=gate_bar, interval_dot=interval_dot, reliability_plot=reliability_plot, style_of=style_of
    )
    source = files(_PACKAGE).joinpath("page.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source)
