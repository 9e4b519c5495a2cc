"""The report as one page: no script, nothing fetched, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from tunelab.evaluation.gates.judge import GateVerdict
from tunelab.evaluation.reports.numbers import in_words
from tunelab.evaluation.reports.page.details import (
    confusions,
    diagrams,
    gap_in_words,
    group_lines,
    variant_lines,
)
from tunelab.evaluation.reports.page.gates import gate_bars, gates_in_words
from tunelab.evaluation.reports.page.harmless import harmless
from tunelab.evaluation.reports.page.shown_rows import SliceFilter, shown_rows
from tunelab.evaluation.reports.page.slice_plots import ordered_slices, slice_plots
from tunelab.evaluation.reports.page.tiles import tiles
from tunelab.evaluation.reports.page.trust import grounds
from tunelab.evaluation.reports.report import ComparedRow, ModelRecord, Report
from tunelab.evaluation.reports.words import (
    column_names,
    general_in_words,
    headline,
    how_sure,
    model_names,
    rows_in_words,
    sampling_in_words,
    totals_table,
    verdict_of,
)
from tunelab.rendering.preview import shortened

_PACKAGE = "tunelab.evaluation.reports.page"
_MOST_SLICE_FILTERS = 8
_NAME_CHARACTERS = 300


def to_html(report: Report, rows: Sequence[ComparedRow], verdicts: Sequence[GateVerdict]) -> str:
    """Return the page.

    Args:
        report: what was measured.
        rows: every row, in any order.
        verdicts: of the gates; empty if none were judged.
    """
    filters = _filters(report)
    style = files(_PACKAGE).joinpath("page.css").read_text(encoding="utf-8") + _filter_rules(report, filters)
    return _template().render(
        report=report,
        headline=headline(report),
        side=_side(report),
        rows_in_words=rows_in_words(rows),
        names=column_names(report),
        bars=gate_bars(verdicts),
        gates_in_words=gates_in_words(verdicts),
        tiles=tiles(report),
        grounds=grounds(report),
        how_sure=how_sure(report),
        plots=slice_plots(report.tasks),
        rows=shown_rows(report, rows, filters=filters),
        provenance=list(_provenance(report)),
        version=version("tunelab"),
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def _side(report: Report) -> str:
    """Return which way the headline speaks: ``better``, ``worse``, or neither."""
    verdicts = {verdict_of(task) for task in report.tasks}
    return "worse" if "worse" in verdicts else "better" if verdicts == {"better"} else ""


def _filters(report: Report) -> list[SliceFilter]:
    """Return the slices by which rows can be chosen: those worth a look."""
    worth = [each for task in report.tasks for each in ordered_slices(task) if each.is_worth_a_look]
    named = dict.fromkeys((each.slice_field, each.value) for each in worth)
    return [SliceFilter(slice_field=name, value=value) for name, value in list(named)[:_MOST_SLICE_FILTERS]]


def _filter_rules(report: Report, filters: Sequence[SliceFilter]) -> str:
    """Return the rules that hide rows which a chosen task or slice does not have."""
    names = [*(f"t{place}" for place in range(len(report.tasks))), *(f"s{place}" for place in range(len(filters)))]
    return "".join(f".rows:has(#show-{name}:checked) .one:not(.{name}) {{ display: none; }}\n" for name in names)


def _provenance(report: Report) -> Iterator[tuple[str, str]]:
    yield "Rows", f"{report.data}; suite {report.suite}"
    yield "Answers", sampling_in_words(report)
    models = [*zip(model_names(report), (report.before, report.after), strict=True)]
    models += [(other.role, other.model) for other in report.others]
    for name, model in models:
        yield name[:1].upper() + name[1:], _model(model)


def _model(model: ModelRecord) -> str:
    adapter = f", {model.adapter}" if model.adapter else ""
    base = f" on {model.base_model}" if model.base_model != model.name else ""
    return f"{model.name}{base}{adapter}; weights {model.weights_sha256[:12]}, template {model.template_sha256[:12]}"


def _spoken(value: object) -> object:
    """Return what is written for an expression of the template: no text reaches the page as it is."""
    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _named(name: str) -> str:
    return shortened(name, _NAME_CHARACTERS)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_spoken,
    )
    environment.filters.update(named=_named)
    environment.globals.update(
        totals_table=totals_table,
        diagrams=diagrams,
        confusions=confusions,
        variant_lines=variant_lines,
        gap_in_words=gap_in_words,
        group_lines=group_lines,
        general_in_words=general_in_words,
        in_words=in_words,
    )
    return environment.get_template("page.html.jinja")
