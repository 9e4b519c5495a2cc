"""A rendered sequence as coloured text: the one source of the terminal's and the pages' view."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.text import Text

from tunelab.rendering.rendered import Rendered
from tunelab.rendering.renderer import Renderer

_TRAINED, _SEEN, _SPECIAL = "green", "dim", "reverse"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewSpan:
    """A stretch of a rendered sequence."""

    text: str
    trained: bool
    """Whether loss falls on it."""
    special: bool
    """Whether it is a control token, not words."""


def preview(rendered: Rendered, renderer: Renderer) -> list[PreviewSpan]:
    """Return the sequence as text, cut where training begins and around each control token.

    The texts of all spans, one after another, are the decoded sequence.
    """
    ids = [int(id_) for id_ in (*rendered.prompt_ids, *rendered.completion_ids)]
    first = len(rendered.prompt_ids)
    kinds = [(place >= first, renderer.tokens.is_control(id_), id_) for place, id_ in enumerate(ids)]
    spans, end, shown = [], 0, ""
    # Decoded from the start each time: a tokenizer may drop the space in front of a text that is decoded alone.
    for (trained, special, _), run in groupby(kinds, key=lambda kind: (kind[0], kind[1], kind[2] if kind[1] else 0)):
        end += len(list(run))
        text = renderer.decode(ids[:end])
        spans.append(PreviewSpan(text=text[len(shown) :], trained=trained, special=special))
        shown = text
    return spans


def to_rich(spans: Sequence[PreviewSpan]) -> Text:
    """Return spans for the terminal: what is trained in green, control tokens reversed, line ends marked.

    Control characters of the text are shown as pictures, so that no row can write to the terminal.
    """
    shown = Text()
    for span in spans:
        style = _TRAINED if span.trained else _SEEN
        shown.append(visible(span.text), f"{style} {_SPECIAL}" if span.special else style)
    return shown


def visible(text: str) -> str:
    """Return text whose line ends are marked and whose control characters are shown as pictures."""
    return pictured(text.replace("\r", "␍").replace("\n", "↵\n"))


def pictured(text: str) -> str:
    """Return text whose control characters, but line ends and tabs, are shown as pictures."""
    return "".join(_picture(c) if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 else c for c in text)


def _picture(character: str) -> str:
    return chr(0x2400 + ord(character)) if ord(character) < 32 else "␡" if ord(character) == 127 else "�"
