"""What a check found as one page: no script, nothing fetched, everything escaped."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from tunelab.checks.report.document import Document
from tunelab.checks.report.examples import Example, ShownMessage
from tunelab.checks.report.statistics import TokenStatistics, short
from tunelab.errors import StorageError, counted
from tunelab.files import storage_errors
from tunelab.rendering.preview import PreviewSpan, pictured, shortened, visible

# Agents' prompts fill megabytes; --json keeps them whole.
_SPAN_CHARACTERS = 6000
_FIRST_MESSAGES, _LAST_MESSAGES = 3, 9
_BARS_SHOWN = 12

_TITLE, _HEAD_BYTES = "tunelab check</title>", 4096
_WIDTH, _HEIGHT, _TOP, _BOTTOM, _GAP = 880, 260, 26, 30, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _LengthBar:
    x: float
    y: float
    width: float
    height: float
    middle: float
    longest: int
    count: int
    label: str
    beyond: bool
    """Whether all its sequences are longer than max_length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Histogram:
    width: int
    height: int
    bars: tuple[_LengthBar, ...]
    max_length: int | None

    @property
    def any_beyond(self) -> bool:
        return any(bar.beyond and bar.count for bar in self.bars)


def refuse_what_is_no_page(path: Path) -> None:
    """Raise a StorageError where a page at `path` would replace anything but an earlier page.

    Refused before the work begins: that spares the user the work, and an existing file.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise StorageError("a page is a file of HTML", where=str(path), expected="a name that ends in .html")
    with storage_errors(path):
        if path.exists() and (path.is_dir() or _TITLE not in path.read_bytes()[:_HEAD_BYTES].decode(errors="replace")):
            remedy = "Give another name, or move away what is there."
            raise StorageError("this exists, and is no page of check", where=str(path), remedy=remedy)


def to_html(document: Document, *, checked: str) -> str:
    """Return the page.

    Args:
        document: what was found.
        checked: the recipe or the data, as the user named them.
    """
    tokens = document.statistics.tokens
    style = files("tunelab.checks.report").joinpath("page.css").read_text(encoding="utf-8") + _widths()
    return _template().render(
        document=document,
        tokens=tokens,
        headline=_headline(document),
        facts=list(_facts(document, checked)),
        sentences=[
            each
            for each in (document.statistics.in_words(), document.statistics.mask_in_words(), *_notes(document))
            if each
        ],
        sections=list(_sections(document)),
        histogram=None if tokens is None else _histogram(tokens),
        spreads=[] if tokens is None else list(_spreads(tokens)),
        distributions=list(_distributions(document)),
        plan=list(_plan(document)),
        version=version("tunelab"),
        style=Markup(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def _headline(document: Document) -> str:
    blocking = sum(finding.blocking for finding in document.findings)
    if blocking:
        return f"{counted(blocking, 'finding')} {'blocks' if blocking == 1 else 'block'} a run"
    others = len(document.findings)
    return f"Nothing blocks a run; {counted(others, 'finding')} to know of" if others else "Nothing blocks a run"


def _facts(document: Document, checked: str) -> Iterator[tuple[str, str]]:
    found = document.statistics
    yield "Checked", checked
    yield "Tokenizer and template", document.model
    yield "Shape of the rows", document.evidence
    yield "Rows", f"{found.num_train:,} to train on, {found.num_held_out:,} held out, {found.num_bad_rows:,} bad"
    if found.tokens is not None:
        yield "Tokens", f"{short(found.tokens.total)}, {100 * found.tokens.trained_share:.1f} % trained"
    for severity in ("error", "warning", "note"):
        if number := sum(finding.severity == severity for finding in document.findings):
            yield f"{severity}s".capitalize(), f"{number:,}"


def _notes(document: Document) -> Iterator[str]:
    for note in document.notes:
        yield f"{_opened(note).rstrip('.')}."


def _opened(sentence: str) -> str:
    """Return a sentence with a capital; one that opens with a key of the recipe, or the name of a layer, stays."""
    first = sentence.partition(" ")[0].replace("-", "")
    return sentence[:1].upper() + sentence[1:] if first.isalpha() else sentence


def _sections(document: Document) -> Iterator[tuple[str, str]]:
    yield "findings", "Findings"
    if document.statistics.tokens is not None:
        yield "lengths", "Lengths"
    yield "holds", "What the data hold"
    if document.planned is not None:
        yield "plan", "The planned run"
    if document.examples:
        yield "examples", "Conversations"


def _histogram(tokens: TokenStatistics) -> _Histogram | None:
    if not tokens.histogram:
        return None
    limit = next((each.max_length for each in tokens.candidates if each.is_current), None)
    most = max(count for _, count in tokens.histogram)
    step = _WIDTH / len(tokens.histogram)
    room = _HEIGHT - _TOP - _BOTTOM
    bars = []
    for place, (longest, count) in enumerate(tokens.histogram):
        height = round(room * count / max(most, 1), 1)
        x, width = place * step + _GAP / 2, min(step - _GAP, 90)
        x += (step - _GAP - width) / 2
        bars.append(
            _LengthBar(
                x=round(x, 1),
                y=round(_TOP + room - height, 1),
                width=round(width, 1),
                height=max(height, 1.0),
                middle=round(x + width / 2, 1),
                longest=longest,
                count=count,
                label=f"{longest:,}",
                beyond=limit is not None and longest // 2 >= limit,
            )
        )
    return _Histogram(width=_WIDTH, height=_HEIGHT, bars=tuple(bars), max_length=limit)


def _spreads(tokens: TokenStatistics) -> Iterator[tuple[str, object]]:
    named = (("prompt", tokens.prompt), ("trained answer", tokens.completion), ("sequence", tokens.sequence))
    return ((name, spread) for name, spread in named if spread is not None)


def _distributions(document: Document) -> Iterator[tuple[str, list[tuple[str, int, int]]]]:
    found, tokens = document.statistics, document.statistics.tokens
    yield "Trained answers by kind", list(_bars(found.responses))
    yield "Messages by role", list(_bars(found.messages_by_role))
    if found.labels:
        yield "Conversations by class", list(_bars(found.labels))
    if tokens is not None:
        yield "Tokens by loss", list(_bars({"trained": tokens.trained, "seen only": tokens.total - tokens.trained}))
        repeats = {"distinct": tokens.distinct, **tokens.repeats}
        yield "Tokens by repetition", list(_bars({name: size for name, size in repeats.items() if size}))


def _bars(counts: Mapping[str, int]) -> Iterator[tuple[str, int, int]]:
    total = max(sum(counts.values()), 1)
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    for name, count in ranked[:_BARS_SHOWN]:
        yield name.replace("_", " "), count, _percent(count / total)
    if rest := ranked[_BARS_SHOWN:]:
        count = sum(count for _, count in rest)
        yield f"{len(rest):,} others", count, _percent(count / total)


def _percent(share: float) -> int:
    return min(100, max(1, round(100 * share))) if share else 0


def _plan(document: Document) -> Iterator[str]:
    run = document.planned
    if run is None:
        return
    passes = "pass" if run.num_epochs == 1 else "passes"
    yield f"{counted(run.total_steps, 'optimizer step')}, {run.num_epochs:g} {passes} over the training rows"
    if run.uses_warmup:
        yield f"The learning rate rises for {counted(run.num_warmup_steps, 'step')}"
    if run.evaluates:
        kept = "; the best checkpoint is kept" if run.keeps_best else ""
        yield f"Held-out loss every {counted(run.eval_steps, 'step')}, a checkpoint every {run.save_steps:,}{kept}"
    if document.planned_model is not None:
        yield from document.planned_model.in_words()


def _in_words(example: Example) -> str:
    parts = [
        f"{counted(example.num_prompt_tokens, 'token')} seen, {example.num_trained_tokens:,} trained",
        f"{example.num_cut_tokens:,} cut" if example.num_cut_tokens else "",
        f"answer: {example.response_type.replace('_', ' ')}",
        counted(example.num_messages, "message"),
        counted(example.num_tools, "tool") if example.num_tools else "",
        f"session {example.session_id}" if example.session_id else "",
    ]
    return " · ".join(filter(None, parts))


def _ends(messages: Sequence[ShownMessage]) -> tuple[list[ShownMessage | None], int]:
    """Return the first and the last messages with a None between them, and how many it replaces."""
    left_out = len(messages) - _FIRST_MESSAGES - _LAST_MESSAGES
    if left_out <= 1:
        return [*messages], 0
    return [*messages[:_FIRST_MESSAGES], None, *messages[-_LAST_MESSAGES:]], left_out


def _clipped(spans: Sequence[PreviewSpan]) -> list[PreviewSpan]:
    """Return spans whose untrained texts are no longer than the page can show."""
    return [span if span.trained else replace(span, text=shortened(span.text, _SPAN_CHARACTERS)) for span in spans]


def _widths() -> str:
    # A strict policy lets no element carry a style of its own: the widths of bars are classes.
    return "\n".join(f".w{percent} {{ width: {percent}%; }}" for percent in range(101)) + "\n"


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        shortened=shortened,
        clipped=_clipped,
        ends=_ends,
        opened=_opened,
        in_words=_in_words,
        visible=visible,
        pictured=pictured,
    )
    source = files("tunelab.checks.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(source)
