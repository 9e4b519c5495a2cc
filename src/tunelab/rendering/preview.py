"""A rendered sequence as coloured text: the one source of the terminal's and the pages' view."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import groupby

from rich.text import Text

from tunelab.rendering.rendered import Rendered
from tunelab.rendering.renderer import Renderer
from tunelab.rendering.tokens.chat_markers import WRITTEN

_TRAINED, _SEEN, _SPECIAL, _LOOK_ALIKE = "green", "dim", "reverse", "underline"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewSpan:
    """A stretch of a rendered sequence."""

    text: str
    trained: bool
    """Whether loss falls on it."""
    special: bool
    """Whether it is a control token, not words."""
    look_alike: bool = False
    """Whether it is words that look like a control token, of this tokenizer or of a well-known chat format."""


def preview(rendered: Rendered, renderer: Renderer) -> list[PreviewSpan]:
    """Return the sequence as text, cut where training begins and around each control token.

    Words that look like a control token are a span of their own. The texts of all spans, one after another, are the
    decoded sequence.
    """
    ids = [int(id_) for id_ in (*rendered.prompt_ids, *rendered.completion_ids)]
    first = len(rendered.prompt_ids)
    kinds = [(place >= first, renderer.tokens.is_control(id_), id_) for place, id_ in enumerate(ids)]
    spans: list[PreviewSpan] = []
    end, shown = 0, ""
    # Decoded from the start each time: a tokenizer may drop the space in front of a text that is decoded alone.
    for (trained, special, _), run in groupby(kinds, key=lambda kind: (kind[0], kind[1], kind[2] if kind[1] else 0)):
        end += len(list(run))
        text = renderer.decode(ids[:end])
        span = PreviewSpan(text=text[len(shown) :], trained=trained, special=special)
        spans += [span] if special else _apart(span, renderer.tokens.control)
        shown = text
    return spans


def _apart(span: PreviewSpan, control: re.Pattern[str]) -> Iterator[PreviewSpan]:
    """Yield a span of words in parts: those that look like control tokens, and what is between them."""
    end = 0
    for match in merge(control.finditer(span.text), WRITTEN.finditer(span.text), key=lambda match: match.start()):
        if match.start() < end:
            continue
        if match.start() > end:
            yield replace(span, text=span.text[end : match.start()])
        yield replace(span, text=match.group(), look_alike=True)
        end = match.end()
    if end < len(span.text) or not span.text:
        yield replace(span, text=span.text[end:])


def to_rich(spans: Sequence[PreviewSpan]) -> Text:
    """Return spans for the terminal: what is trained in green, control tokens reversed, look-alikes in ⟦ ⟧.

    Line ends are marked.

    Control characters of the text are shown as pictures, so that no row can write to the terminal.
    """
    shown = Text()
    for span in spans:
        style = _TRAINED if span.trained else _SEEN
        if span.look_alike:
            shown.append(f"⟦{visible(span.text)}⟧", f"{style} {_LOOK_ALIKE}")
            continue
        shown.append(visible(span.text), f"{style} {_SPECIAL}" if span.special else style)
    return shown


def visible(text: str) -> str:
    """Return text whose line ends are marked and whose control characters are shown as pictures."""
    return pictured(text.replace("\r", "␍").replace("\n", "↵\n"))


def pictured(text: str) -> str:
    """Return text whose control characters, but line ends and tabs, are shown as pictures."""
    return "".join(_picture(c) if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 else c for c in text)


def shortened(text: str, characters: int) -> str:
    """Return text of so many characters at most, and how many are left out of its middle."""
    if len(text) <= characters:
        return text
    half = characters // 2
    return f"{text[:half]} … {len(text) - 2 * half:,} characters left out … {text[-half:]}"


def _picture(character: str) -> str:
    return chr(0x2400 + ord(character)) if ord(character) < 32 else "␡" if ord(character) == 127 else "�"
