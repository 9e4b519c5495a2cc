"""`tunelab rate MODEL`: a person judges a model's answers in the terminal, blind, and stops at any time."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunelab.cli.console import console, harmless, named, say
from tunelab.errors import UserError, counted
from tunelab.workspace import find_workspace

if TYPE_CHECKING:
    from tunelab.flows.rate import RatingQuestion, Sitting

_MOST_CHARS = 6_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")
_OTHER_KEYS = "s cannot say · u back to the one before · q stop"


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", hidden=True)],
    *,
    against: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Say which answer is better: this model's (base is its own) or MODEL's."),
    ] = None,
    rubric: Annotated[Path | None, typer.Option(metavar="FILE", help="Criteria of your own.")] = None,
    rater: Annotated[str, typer.Option(metavar="NAME", help="Who rates.")] = "rater",
    rows: Annotated[int, typer.Option(min=1, metavar="N", help="Rate at most N rows.")] = 30,
) -> None:
    """Rate a model's answers by the criteria of the judge, to see whether the judge can be trusted.

    MODEL was evaluated before: a run's id, the beginning of one, or the word latest. Each answer is rated by itself;
    with --against, two are shown and the better one is chosen. Rows come in random order, and nothing says whose answer
    is whose. Ratings are kept one by one: stop at any time, and the same command goes on.
    """
    from tunelab.flows.rate import read_rubric, sitting
    from tunelab.flows.rated_rows import rated_rows

    if not _NAME.fullmatch(rater):
        raise UserError(f'"{rater}" is no name', where="--rater", expected="letters, digits, dots, hyphens")
    criteria = read_rubric(rubric)
    found = rated_rows(model, against, find_workspace(Path.cwd()))
    with sitting(found.rows, criteria, rater=rater, file=found.file, num_rows=rows) as seat:
        say(f"{rater}: {seat.num_rated:,} of {counted(seat.num_questions, 'question')} answered.", style="dim")
        _rate_all(seat)
        end = "All are answered" if seat.question is None else "The same command goes on here"
        say(f"{end}: {seat.num_rated:,} of {seat.num_questions:,}. Ratings: {named(found.file)}")


def _rate_all(seat: Sitting) -> None:
    shown: object = None
    while (question := seat.question) is not None:
        if question.row is not shown:
            _show(question)
            shown = question.row
        say(f"\n{_asked(question)}", style="bold")
        say(_keys(question), style="dim")
        key = _key()
        if key in ("q", None):
            return
        if key == "u":
            if not seat.back():
                say("There is none before it in this sitting.", style="yellow")
        elif key == "s":
            seat.rate(None)
        elif (value := _value(question, key)) is not None:
            seat.rate(value)
        else:
            say(f"There is no key {harmless(key)[:20]!r} here.", style="yellow")


def _key() -> str | None:
    """Return the next line of the keyboard or a pipe; None after the last."""
    print("> ", end="", flush=True)
    line = sys.stdin.buffer.readline(1_000) if hasattr(sys.stdin, "buffer") else sys.stdin.readline(1_000).encode()
    return line.decode(errors="replace").strip().lower() if line else None


def _value(question: RatingQuestion, key: str) -> int | None:
    if len(question.texts) == 1:
        return int(key) if key.isascii() and key.isdigit() and int(key) in question.criterion.ratings else None
    if key == "t":
        return 0
    return question.value_of("ab".index(key)) if key in ("a", "b") else None


def _asked(question: RatingQuestion) -> str:
    return f"{question.criterion.name}: {harmless(question.criterion.question)}"


def _keys(question: RatingQuestion) -> str:
    if len(question.texts) == 1:
        return f"{harmless(question.criterion.meanings)} · {_OTHER_KEYS}"
    return f"a the first is better · b the second · t no difference · {_OTHER_KEYS}"


def _show(question: RatingQuestion) -> None:
    item = question.row.item
    _print_text("Question", item.asked)
    if item.reference:
        _print_text("Reference", item.reference)
    names = ("Answer",) if len(question.texts) == 1 else ("Answer A", "Answer B")
    for name, text in zip(names, question.texts, strict=True):
        _print_text(name, text)


def _print_text(name: str, text: str) -> None:
    """Print a text with a bar before each line of the screen, so that none can pass for another part of it."""
    from rich.text import Text

    left_out = len(text) - _MOST_CHARS
    shown = Text(harmless(text[:_MOST_CHARS].expandtabs(4)) or "(no text)")
    say(f"\n{name}", style="bold")
    for line in shown.wrap(console(), max(20, console().width - 2)):
        say(f"│ {line.plain}")
    if left_out > 0:
        say(f"({left_out:,} more characters)", style="dim")
