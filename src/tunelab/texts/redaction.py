"""Texts without what was recognised in them; a text that is JSON stays JSON."""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from tunelab.texts.recognisers.recogniser import Span

Find = Callable[[str], list[Span]]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?')
_NO_JSON = object()
_OPENS = re.compile(r'\{\s*"')
_DECODER = json.JSONDecoder()
_MOST_TRIED = 500

HIDES = r"(?s)^\s*[{\[].*\\[u/]"
"""Found in JSON that may write characters otherwise than they are read: a scan of the text would not see those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """What was found in a text, and the text without it."""

    kinds: tuple[str, ...]
    """Kinds by place; none where nothing was found."""
    text: str | None
    """None where the text is JSON and cannot stay so without what was found."""


def redacted(text: str, find: Find) -> Redacted:
    """Return what `find` finds in `text`, and the text with ``[EMAIL]`` in its place.

    Inside JSON (an object or a list) a number becomes a text, ``"[CARD]"``, and a secret with the name that gives it
    away leaves the name: ``"password": "[ASSIGNED_SECRET]"``. Texts in JSON may be JSON again.
    """
    value = _parsed(text)
    if value is _NO_JSON:
        return _redacted_prose(text, find)
    new, kinds = _redacted_json(text, find)
    compact = _compact(new)
    if find(compact):  # a hit in calls as they are trained, where white space between fields is another
        new, more = _redacted_json(compact, find)
        kinds = kinds + more
    if not kinds:
        return Redacted(kinds=(), text=text)
    stays = (_has_unique_fields(new) or not _has_unique_fields(text)) and not find(new) and not find(_compact(new))
    return Redacted(kinds=kinds, text=new if stays else None)


def redact_spans(text: str, spans: Iterable[Span]) -> str:
    """Return `text` with each of the spans, in order and apart, replaced by its kind: ``[EMAIL]``."""
    parts, end = [], 0
    for span in spans:
        parts += [text[end : span.start], f"[{span.kind.upper()}]"]
        end = span.end
    return "".join([*parts, text[end:]])


def _redacted_prose(text: str, find: Find) -> Redacted:
    """Redact a text that is no JSON; objects of JSON in it, as calls between tags are, stay what they are."""
    spans = find(text)
    objects = _objects_in(text) if spans else []
    parts, kinds, end = [], list[str](), 0
    for start, stop in objects:
        inside = [span for span in spans if start <= span.start and span.end <= stop]
        if not inside or any(span.start < start < span.end or span.start < stop < span.end for span in spans):
            continue
        done = redacted(text[start:stop], find)
        kinds += done.kinds
        if done.text is None:
            return Redacted(kinds=tuple(kinds), text=None)
        if done.kinds:
            before = [_moved(span, end) for span in spans if end <= span.start < start]
            parts += [redact_spans(text[end:start], before), done.text]
            end = stop
    parts.append(redact_spans(text[end:], [_moved(span, end) for span in spans if span.start >= end]))
    return Redacted(kinds=tuple(dict.fromkeys([*_kinds(spans), *kinds])), text="".join(parts))


def _objects_in(text: str) -> list[tuple[int, int]]:
    """Return where objects of JSON begin in a text, the outer ones; braces that open none are tried so often only."""
    found, end = list[tuple[int, int]](), 0
    for match in islice(_OPENS.finditer(text), _MOST_TRIED):
        if match.start() >= end:
            try:
                _, end = _DECODER.raw_decode(text, match.start())
            except (ValueError, RecursionError):
                continue
            found.append((match.start(), end))
    return found


def _moved(span: Span, by: int) -> Span:
    return Span(kind=span.kind, start=span.start - by, end=span.end - by)


def _parsed(text: str) -> object:
    """Return the object or list that a text is as a whole."""
    if text.lstrip()[:1] not in ("{", "["):
        return _NO_JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NO_JSON


def _compact(text: str) -> str:
    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))


def _has_unique_fields(text: str) -> bool:
    counts: list[int] = []

    def count(pairs: list[tuple[str, object]]) -> None:
        counts.append(len(pairs) - len({key for key, _ in pairs}))

    json.loads(text, object_pairs_hook=count)
    return not any(counts)


def _redacted_json(text: str, find: Find) -> tuple[str, tuple[str, ...]]:
    """Redact the texts and numbers that hits touch; what lies between them stays."""
    spans = find(text)
    tokens = list(_TOKEN.finditer(text))
    starts, ends = [token.start() for token in tokens], [token.end() for token in tokens]
    touched = [range(bisect_right(ends, span.start), bisect_left(starts, span.end)) for span in spans]
    suspects = {index for each in touched for index in each}
    suspects |= {index for index, token in enumerate(tokens) if "\\" in token.group()}
    new: dict[int, str] = {}
    kinds: list[tuple[int, tuple[str, ...]]] = []
    for index in suspects:
        token = tokens[index].group()
        plain = json.loads(token) if token.startswith('"') else token
        inner = redacted(plain, find)
        if inner.kinds:
            shown = f"[{inner.kinds[0].upper()}]" if inner.text is None else inner.text
            new[index] = json.dumps(shown, ensure_ascii=token.isascii())
            kinds.append((starts[index], inner.kinds))
    for span, indices in zip(spans, touched, strict=True):
        if not any(index in new for index in indices):
            kinds.append((span.start, (span.kind,)))
            if indices:
                new[indices[-1]] = json.dumps(f"[{span.kind.upper()}]")
    parts, end = [], 0
    for index in sorted(new):
        parts += [text[end : starts[index]], new[index]]
        end = ends[index]
    return "".join([*parts, text[end:]]), tuple(kind for _, each in sorted(kinds) for kind in each)


def _kinds(spans: list[Span]) -> tuple[str, ...]:
    return tuple(span.kind for span in spans)
