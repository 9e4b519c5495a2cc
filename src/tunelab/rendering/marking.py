"""Telling a message's own words from the template's control tokens in a rendered text.

The conversation is rendered as it is; then once more with each look-alike replaced by as many private-use characters.
Where both texts agree but for those characters, they show where the look-alikes went.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from tunelab.rendering.tokens import ControlTokenError, Marked

Render = Callable[[Sequence[Mapping[str, object]], Sequence[Mapping[str, object]]], str]

_STAND_IN = "\ue000"
_STAND_INS = re.compile(f"{_STAND_IN}+")


def render_marked(
    render: Render,
    messages: Sequence[Mapping[str, object]],
    tools: Sequence[Mapping[str, object]],
    control: re.Pattern[str],
) -> Marked:
    """Return the text of `render(messages, tools)` with the words in it that look like control tokens.

    A look-alike that the template itself reads (`</think>`, by which some templates find the reasoning) is the
    template's: it stands in the text only where the template wrote it.

    Raises:
        ControlTokenError: the template moved such words in a way that cannot be followed.
    """
    text = render(messages, tools)
    found = set(_look_alikes([messages, tools], control))
    if not found:
        return Marked(text)
    whole = _located(text, render(*_with_stand_ins(messages, tools, control, found)))
    if whole is not None:
        return Marked(text, whole)
    spans: list[tuple[int, int]] = []
    for token in sorted(found):
        for index in [*range(len(messages)), None]:
            spans += _one_by_one(text, render, messages, tools, control, token, index)
    return Marked(text, tuple(sorted(spans)))


def holds_look_alikes(messages: Sequence[Mapping[str, object]], tools: object, control: re.Pattern[str]) -> bool:
    """Whether any words of a conversation look like a control token."""
    return next(_look_alikes([messages, tools], control), None) is not None


def _one_by_one(
    text: str,
    render: Render,
    messages: Sequence[Mapping[str, object]],
    tools: Sequence[Mapping[str, object]],
    control: re.Pattern[str],
    token: str,
    index: int | None,
) -> tuple[tuple[int, int], ...]:
    """Locate one look-alike of one message, or of the tools where `index` is None."""
    some = [messages[index]] if index is not None else []
    if token not in _look_alikes([some, tools if index is None else ()], control):
        return ()
    changed, changed_tools = _with_stand_ins(some, tools if index is None else (), control, {token})
    if index is None:
        other = render(messages, changed_tools)
    else:
        other = render([*messages[:index], *changed, *messages[index + 1 :]], tools)
    spans = _located(text, other)
    if spans is not None:
        return spans
    if text.count(token) > other.count(token):
        raise ControlTokenError(f'the words "{token}" in a message cannot be kept apart from the control token')
    return ()


def _located(text: str, other: str) -> tuple[tuple[int, int], ...] | None:
    if len(text) != len(other):
        return None
    spans = [match.span() for match in _STAND_INS.finditer(other)]
    restored, end = [], 0
    for start, stop in spans:
        restored += [other[end:start], text[start:stop]]
        end = stop
    if "".join([*restored, other[end:]]) != text:
        return None
    return tuple((a, b) for a, b in spans if text[a:b] != other[a:b])


def _look_alikes(value: object, control: re.Pattern[str]) -> Iterator[str]:
    if isinstance(value, str):
        yield from (match.group() for match in control.finditer(value))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _look_alikes(key, control)
            yield from _look_alikes(inner, control)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _look_alikes(inner, control)


def _with_stand_ins(
    messages: Sequence[Mapping[str, object]],
    tools: Sequence[Mapping[str, object]],
    control: re.Pattern[str],
    tokens: set[str],
) -> tuple[list[Mapping[str, object]], list[Mapping[str, object]]]:
    def hidden(match: re.Match[str]) -> str:
        return _STAND_IN * len(match.group()) if match.group() in tokens else match.group()

    def changed(value: object) -> object:
        if isinstance(value, str):
            return control.sub(hidden, value)
        if isinstance(value, Mapping):
            return {changed(key): changed(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [changed(inner) for inner in value]
        return value

    return [changed(message) for message in messages], [changed(tool) for tool in tools]  # type: ignore[misc]
