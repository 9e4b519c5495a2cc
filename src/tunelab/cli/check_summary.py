"""What `tunelab check` found, printed: evidence, figures, conversations, findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunelab.cli.console import console, harmless, print_table, say, this_command
from tunelab.errors import counted

if TYPE_CHECKING:
    from tunelab.checks.finding import Finding
    from tunelab.checks.report.examples import Example
    from tunelab.checks.report.statistics import Statistics
    from tunelab.flows.check import CheckResult

STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
"""Style of a severity on a terminal."""
_LISTED_BAD_ROWS = 20
_LISTED_CLASSES = 20


def print_check(result: CheckResult, *, stats: bool = False, shows: bool = True) -> None:
    """Print evidence, notes, examples and findings."""
    say(harmless(result.dataset.evidence), style="bold")
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
    if result.findings.items:
        say(f"More on a finding: {this_command()} check --explain {result.findings.items[0].code}", style="dim")


def _print_finding(finding: Finding) -> None:
    stops = " (blocks a run)" if finding.blocking else ""
    say(f"\n{finding.severity} {finding.code}{stops}: {finding.summary}", style=STYLES[finding.severity])
    for example in finding.examples:
        say(harmless(f"    {example}"))
    say(f"  why:    {finding.why}")
    say(f"  remedy: {finding.remedy}")
    if finding.ignored:
        say(harmless(f"  ignored, the recipe says: {finding.ignored}"))


def _print_bad_rows(result: CheckResult) -> None:
    bad = [*result.dataset.bad_rows, *result.dataset.bad_turns]
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
    from tunelab.rendering.preview import to_rich

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
    if any(span.look_alike for span in example.spans):
        say("⟦ ⟧ marks words that look like control tokens and are none.", style="dim")
