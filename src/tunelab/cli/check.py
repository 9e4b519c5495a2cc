"""`tunelab check DATA|RECIPE`: what would be trained, and what is wrong with it."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, get_args

import typer

from tunelab.cli.check_summary import STYLES, print_check
from tunelab.cli.console import SET, console, harmless, named, print_document, say
from tunelab.cli.reading_progress import reading_line
from tunelab.errors import UserError
from tunelab.events import LEFT_OUT, AnyEvent, EventLog, Found, Listener, Notice

_ON_PAGE = 8
"""Conversations that --html holds without --show."""
_REPORTED_AT_ONCE = 5
"""Bad rows that are printed on a terminal before the check is done."""
_SHOWN = 3
"""Conversations that --worst shows without --show."""


def command(
    target: Annotated[str | None, typer.Argument(metavar="DATA|RECIPE", hidden=True)] = None,
    num_examples: Annotated[
        int,
        typer.Option("--show", "--num-examples", min=0, metavar="N", help="Show N conversations as they are trained."),
    ] = 0,
    worst: Annotated[
        str | None,
        typer.Option(
            "--worst",
            metavar="MEASURE",
            help="Show the worst instead of random ones: LENGTH, CUT, UNTRAINED, SHORT or REPETITION.",
        ),
    ] = None,
    stats: Annotated[bool, typer.Option("--stats", help="Show statistics of rows and tokens.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")] = False,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="Print the JSON Schema of that document, and check nothing.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="CODE", help="Print what a finding code means, with an example."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write all of it as one page, with some of the conversations."),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option("--pattern", metavar="GLOB", help="Files of the data folder, e.g. 'agent-*.jsonl'."),
    ] = None,
    no_catalog: Annotated[bool, typer.Option("--no-catalog", help="Leave all tool definitions out.")] = False,
    skip_bad_rows: Annotated[bool, typer.Option("--skip-bad-rows", help="Count bad rows and go on without.")] = False,
    system_prompt: Annotated[
        str | None, typer.Option("--system-prompt", metavar="TEXT", help="Replaces those of the rows.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="Whose tokenizer and chat template: nano, a folder, a Hub id."),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option("--fail-on", metavar="SEVERITY", help="Lowest that blocks: error, warning, note, or never."),
    ] = None,
    overrides: Annotated[list[str] | None, SET] = None,
) -> None:
    """Read data as training would, show what would be trained, say what is wrong.

    DATA is a file of rows, a folder or a glob; RECIPE is a YAML file. Without either, variables such
    as LLM_DATA__TRAIN_FILES make the recipe.

    The exit code is 0 if nothing blocks a run, 1 if something does, 2 if the check could not run.
    """
    if explain is not None:
        from tunelab.cli.check_explanation import print_explanation

        print_explanation(explain)
        raise typer.Exit(0)
    if json_schema:
        from tunelab.checks.report.document import json_schema as schema

        print_document(schema())
        raise typer.Exit(0)
    from tunelab.checks.config import FailOn
    from tunelab.checks.report.examples import measure_named
    from tunelab.flows.check import check_data_or_recipe

    measure = None if worst is None else measure_named(worst)
    if fail_on is not None and fail_on not in get_args(FailOn):
        raise UserError(f'--fail-on is "{fail_on}"', expected=", ".join(get_args(FailOn)))
    if html is not None:
        from tunelab.checks.report.html import refuse_what_is_no_page, to_html
        from tunelab.files import write_file

        refuse_what_is_no_page(html)
    with _watched(shows_findings=not as_json) as events:
        result = check_data_or_recipe(
            target,
            pattern=pattern,
            overrides=[
                *(["data.inject_tool_catalog=false"] if no_catalog else []),
                *(["data.bad_rows=skip"] if skip_bad_rows else []),
                *([f"data.system_prompt={json.dumps(system_prompt)}"] if system_prompt is not None else []),
                *([f"model.base_model={json.dumps(model)}"] if model is not None else []),
                *([f"checks.fail_on={fail_on}"] if fail_on is not None else []),
                *(overrides or []),
            ],
            num_examples=num_examples or (_SHOWN if measure else _ON_PAGE if html else 0),
            worst=measure,
            events=events,
        )
    if html is not None:
        write_file(html, to_html(result.document(), checked=target or "the variables LLM_*"))
    if as_json:
        from tunelab.checks.report.document import to_json

        print_document(to_json(result.document()))
    else:
        print_check(result, stats=stats, shows=bool(num_examples or measure))
        if html is not None:
            say(f"The page: {named(html)}")
    raise typer.Exit(1 if result.findings.blocking else 0)


class _Watch:
    """A listener that shows progress, and on a terminal the first bad rows and the first finding of each kind."""

    def __init__(self, line: Listener, *, shows_findings: bool) -> None:
        self._line, self._shows_findings = line, shows_findings
        self._num_bad = 0

    def __call__(self, event: AnyEvent) -> None:
        self._line(event)
        if isinstance(event, Notice):
            say(event.text, style="dim", stderr=True)
        if not isinstance(event, Found) or not console(stderr=True).is_terminal:
            return
        if event.code in LEFT_OUT:
            self._num_bad += 1
            more = "; more are counted" if self._num_bad == _REPORTED_AT_ONCE else ""
            if self._num_bad <= _REPORTED_AT_ONCE:
                say(harmless(f"{event.place}: {event.text}{more}"), style="yellow", stderr=True)
        elif self._shows_findings:
            line = f"{event.severity} {event.code}, first in {event.place}: {event.text}"
            say(harmless(line), style=STYLES[event.severity], stderr=True)


@contextmanager
def _watched(*, shows_findings: bool) -> Iterator[EventLog]:
    from tunelab.sources.gc_pause import collector_at_rest

    with collector_at_rest():
        try:
            with reading_line() as line, EventLog(None, [_Watch(line, shows_findings=shows_findings)]) as events:
                yield events
        finally:
            gc.freeze()  # what was read stays until the end: the search that now begins again need not walk it
