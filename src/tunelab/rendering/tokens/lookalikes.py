"""Telling a message's own words from the template's control tokens in a rendered text.

The conversation is rendered as it is; then once more with each look-alike replaced by as many private-use characters.
Where both texts agree but for those characters, they show where the look-alikes went.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from tunelab.rendering.tokens.marked_text import Marked
from tunelab.rendering.tokens.tokenizer import ControlTokenError, Tokens

Render = Callable[[Sequence[Mapping[str, object]], Sequence[Mapping[str, object]]], str]

_STAND_IN = "\ue000"
_STAND_INS = re.compile(f"{_STAND_IN}+")


def render_marked(
    render: Render,
    messages: Sequence[Mapping[str, object]],
    tools: Sequence[Mapping[str, object]],
    tokens: Tokens,
) -> Marked:
    """Return the text of `render(messages, tools)` with the words in it that look like control tokens.

    Markup in the content of an answer (`<think>`, `<tool_call>`: control tokens that are not special) is what the model
    writes, so it is no look-alike, whether or not the template reads it.

    Raises:
        ControlTokenError: the template moved such words in a way that cannot be followed.
    """
    text = render(messages, tools)
    found = look_alikes(messages, tools, tokens)
    if not found:
        return Marked(text)
    whole = _located(text, _rendered(render, *_with_stand_ins(messages, tools, tokens, found)))
    if whole is not None:
        return Marked(text, whole)
    spans: list[tuple[int, int]] = []
    for token in sorted(found):
        for index in [*range(len(messages)), None]:
            one = _one_by_one(text, render, messages, tools, tokens, token, index)
            if one is None:
                raise ControlTokenError(f'the words "{token}" in a message cannot be kept apart from the control token')
            spans += one
    return Marked(text, tuple(sorted(spans)))


def look_alikes(
    messages: Sequence[Mapping[str, object]], tools: Sequence[Mapping[str, object]], tokens: Tokens
) -> set[str]:
    """Return the strings in messages and tools, at any depth, that look like control tokens and are words."""
    words: list[str] = []
    answers: list[str] = []
    _collect(tools, words)
    for message in messages:
        is_answer = message["role"] == "assistant"
        for key, value in message.items():
            _collect(value, answers if is_answer and key == "content" else words)
    found = set(tokens.control.findall("\0".join(words)))
    return found | {token for token in tokens.control.findall("\0".join(answers)) if tokens.is_special_text(token)}


def _one_by_one(
    text: str,
    render: Render,
    messages: Sequence[Mapping[str, object]],
    tools: Sequence[Mapping[str, object]],
    tokens: Tokens,
    token: str,
    index: int | None,
) -> tuple[tuple[int, int], ...] | None:
    """Locate one look-alike of one message, or of the tools where `index` is None; None where it cannot be followed."""
    some = [messages[index]] if index is not None else []
    if token not in look_alikes(some, tools if index is None else (), tokens):
        return ()
    changed, changed_tools = _with_stand_ins(some, tools if index is None else (), tokens, {token})
    if index is None:
        other = _rendered(render, messages, changed_tools)
    else:
        other = _rendered(render, [*messages[:index], *changed, *messages[index + 1 :]], tools)
    spans = _located(text, other)
    return () if spans is None and other is not None and text.count(token) <= other.count(token) else spans


def _rendered(
    render: Render, messages: Sequence[Mapping[str, object]], tools: Sequence[Mapping[str, object]]
) -> str | None:
    """Return the text, or None where the template cannot do without the markup that was replaced."""
    try:
        return render(messages, tools)
    except Exception:  # whatever it raises, it read the markup
        return None


def _located(text: str, other: str | None) -> tuple[tuple[int, int], ...] | None:
    if other is None or len(text) != len(other):
        return None
    spans = [match.span() for match in _STAND_INS.finditer(other)]
    restored, end = [], 0
    for start, stop in spans:
        restored += [other[end:start], text[start:stop]]
        end = stop
    if "".join([*restored, other[end:]]) != text:
        return None
    return tuple((a, b) for a, b in spans if text[a:b] != other[a:b])


def _collect(value: object, words: list[str]) -> None:
    if isinstance(value, str):
        words.append(value)
    elif isinstance(value, dict):
        words += value
        for inner in value.values():
            _collect(inner, words)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _collect(inner, words)


def _with_stand_ins(
    messages: Sequence[Mapping[str, object]],
    tools: Sequence[Mapping[str, object]],
    tokens: Tokens,
    found: set[str],
) -> tuple[list[Mapping[str, object]], list[Mapping[str, object]]]:
    special = {token for token in found if tokens.is_special_text(token)}

    def changed(value: object, hidden: set[str]) -> object:
        if isinstance(value, str):
            return tokens.control.sub(
                lambda match: _STAND_IN * len(match.group()) if match.group() in hidden else match.group(), value
            )
        if isinstance(value, dict):
            return {changed(key, hidden): changed(inner, hidden) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [changed(inner, hidden) for inner in value]
        return value

    return [
        {
            key: changed(value, special if key == "content" and message["role"] == "assistant" else found)
            for key, value in message.items()
        }
        for message in messages
    ], [changed(tool, found) for tool in tools]  # type: ignore[misc]
