"""`tunelab check DATA|RECIPE`: what would be trained, and what is wrong with it."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunelab.cli.output import SET, console, harmless, named, print_table, say
from tunelab.cli.reading import OnRead, reading_bar
from tunelab.errors import counted

if TYPE_CHECKING:
    from tunelab.checks.early import FirstFinding
    from tunelab.checks.example import Example
    from tunelab.checks.finding import Finding
    from tunelab.checks.statistics import Statistics
    from tunelab.errors import DataError
    from tunelab.flows.check import CheckResult

_ON_PAGE = 8
"""Conversations that --html holds without --show."""
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_LISTED_BAD_ROWS = 20
_LISTED_CLASSES = 20
_TOLD_AT_ONCE = 5
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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead (docs/check.md).")] = False,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", help="Print the JSON Schema of that document, and check nothing.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write all of it as one page, with conversations to look at."),
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

    The exit code is 0 where nothing blocks a run, with 1 where something does, with 2 where the check could not run.
    """
    if json_schema:
        from tunelab.checks.document import json_schema as schema

        print(schema(), end="")
        raise typer.Exit(0)
    from tunelab.checks.example import measure_named
    from tunelab.flows.check import check_data_or_recipe

    measure = None if worst is None else measure_named(worst)
    if html is not None:
        from tunelab.checks.page import refuse_what_is_no_page, to_html
        from tunelab.files import write_file

        refuse_what_is_no_page(html)
    with _watched() as watch:
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
            on_bad=watch.tell,
            on_progress=watch.progress,
            on_first=watch.found if console(stderr=True).is_terminal and not as_json else None,
        )
    if html is not None:
        write_file(html, to_html(result.document(), checked=target or "the variables LLM_*"))
    if as_json:
        from tunelab.checks.document import to_json

        print(to_json(result.document()))
    else:
        print_check(result, stats=stats, shows=bool(num_examples or measure))
        if html is not None:
            say(f"The page: {named(html)}")
    raise typer.Exit(1 if result.findings.blocking else 0)


class _Watch:
    """Tells what is met while rows are read: a line of progress, and on a terminal the first faults of each kind."""

    def __init__(self) -> None:
        self._bars = ExitStack()
        self._verb = ""
        self._bar: OnRead | None = None
        self._num_bad = 0

    def progress(self, verb: str, done: int, total: int, rows: int) -> None:
        """Show how far the work has come; each kind of work has its own line."""
        if verb != self._verb or self._bar is None:
            self.close()
            self._verb, self._bar = verb, self._bars.enter_context(reading_bar(verb))
        self._bar(done, total, rows)

    def tell(self, error: DataError) -> None:
        """Print the first bad rows as they are met, where somebody watches."""
        self._num_bad += 1
        screen = console(stderr=True)
        if screen.is_terminal and self._num_bad <= _TOLD_AT_ONCE:
            more = "; more are counted" if self._num_bad == _TOLD_AT_ONCE else ""
            say(harmless(f"{error}{more}"), style="yellow", stderr=True)

    def found(self, first: FirstFinding) -> None:
        """Print the first finding of a kind while the rest is read."""
        say(harmless(str(first)), style=_STYLES[first.severity], stderr=True)

    def close(self) -> None:
        """Take the line away."""
        self._bars.close()


@contextmanager
def _watched() -> Iterator[_Watch]:
    from tunelab.sources.collector import collector_at_rest

    watch = _Watch()
    with collector_at_rest():
        try:
            yield watch
        finally:
            watch.close()
            gc.freeze()  # what was read stays until the end: the search that now begins again need not walk it


def print_check(result: CheckResult, *, stats: bool = False, shows: bool = True) -> None:
    """Print evidence, notes, examples and findings as a reader wants them."""
    say(harmless(result.gathered.evidence), style="bold")
    for note in result.notes:
        say(harmless(f"  {note}"), style="dim")
    for words in (result.statistics.in_words(), result.statistics.mask_in_words()):
        if words:
            say(words)
    if result.model is not None:
        for line in result.model.in_words():
            say(harmless(line))
    if stats:
        _print_statistics(result.statistics)
    for example in result.examples if shows else ():
        _print_example(example)
    for finding in result.findings:
        _print_finding(finding)
    _print_bad_rows(result)
    say()
    if blocking := result.findings.blocking:
        say(f"Findings that block a run: {len(blocking)} of {len(result.findings)}.", style="bold red")
    else:
        others = f"; findings to know of: {len(result.findings)}" if result.findings.items else ""
        say(f"Nothing blocks a run{others}.", style="bold green")


def _print_finding(finding: Finding) -> None:
    stops = " (blocks a run)" if finding.blocking else ""
    say(f"\n{finding.severity} {finding.code}{stops}: {finding.summary}", style=_STYLES[finding.severity])
    for example in finding.examples:
        say(harmless(f"    {example}"))
    say(f"  why:    {finding.why}")
    say(f"  remedy: {finding.remedy}")
    if finding.ignored:
        say(harmless(f"  ignored, the recipe says: {finding.ignored}"))


def _print_bad_rows(result: CheckResult) -> None:
    bad = [*result.gathered.bad_rows, *result.gathered.bad_turns]
    if len(bad) > 3:  # the findings show three already
        say(f"\nBad rows, {min(len(bad), _LISTED_BAD_ROWS)} of {len(bad):,}:")
        for error in bad[:_LISTED_BAD_ROWS]:
            say(harmless(f"    {error}"))
        if len(bad) > _LISTED_BAD_ROWS:
            say("    … --json lists them all")


def _print_statistics(found: Statistics) -> None:
    rows = [
        ("rows", found.num_rows),
        ("conversations", found.num_conversations),
        ("  to train on", found.num_train),
        ("  held out", found.num_held_out),
        ("bad rows", found.num_bad_rows),
        ("sessions", found.num_sessions),
        ("conversations with tools", found.num_with_tools),
        *((f"{role} messages", count) for role, count in found.messages_by_role.items()),
        *((f"answers: {kind}", count) for kind, count in found.responses.items()),
        *((harmless(f"class: {label}"), count) for label, count in [*found.labels.items()][:_LISTED_CLASSES]),
        ("characters of a prompt, mean", round(found.mean_prompt_chars)),
        ("characters of an answer, mean", round(found.mean_answer_chars)),
    ]
    print_table(("data set", "count"), rows)
    if (t := found.tokens) is None:
        return
    spreads = (("prompt", t.prompt), ("trained", t.completion), ("sequence", t.sequence))
    columns = ("tokens of a", "mean", "median", "95 %", "99 %", "longest")
    print_table(columns, [(name, round(s.mean), s.p50, s.p95, s.p99, s.max) for name, s in spreads if s is not None])
    say(f"Lengths before the cut; longer than data.max_length: {counted(t.num_too_long, 'sequence')}.\n")
    if t.candidates:
        columns = ("max_length", "sequences cut", "in %", "answers gone", "tokens cut", "trained tokens cut")
        lines = [
            (
                f"{each.max_length:,}{' (now)' if each.is_current else ''}",
                each.num_cut,
                round(100 * each.share_cut, 1),
                each.num_lost,
                each.tokens_cut,
                each.trained_tokens_cut,
            )
            for each in t.candidates
        ]
        print_table(columns, lines)
    most = max((count for _, count in t.histogram), default=1)
    for longest, count in t.histogram:
        say(f"  up to {longest:>7,} tokens  {'█' * round(40 * count / most):<40} {count:,}")


def _print_example(example: Example) -> None:
    from tunelab.rendering.show import to_rich

    say(f"\n── {harmless(example.origin)} " + "─" * 40, style="bold")
    if example.untrained:
        say(harmless(f"nothing is trained: {example.untrained}"), style="bold yellow")
    facts = [
        example.chosen_for,
        f"{counted(example.num_prompt_tokens, 'token')} seen, {example.num_trained_tokens:,} trained",
        f"{example.num_cut_tokens:,} cut" if example.num_cut_tokens else "",
        f"answer: {example.response_type}",
        counted(example.num_messages, "message"),
        counted(example.num_tools, "tool") if example.num_tools else "",
        f"the last of {example.num_answers} trained answers" if example.num_answers > 1 else "",
        harmless(f"session {example.session_id}") if example.session_id else "",
    ]
    say("; ".join(filter(None, facts)), style="dim")
    for title, trained in (("seen", False), ("trained", True)):
        if spans := [span for span in example.spans if span.trained == trained]:
            say(f"── {title} ──", style="bold")
            console().print(to_rich(spans))
