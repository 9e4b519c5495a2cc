"""The forms in which model families write tool calls: JSON, a name before JSON, markup, Python.

Each function yields the calls of one form, from left to right, and none of a text in another form. A reader does not
say that a family can be read: its references do, which are known to call.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tunelab.evaluation.rows.evaluated_row import ExpectedCall

_NAMES = ("name", "tool_name", "function")
_ARGUMENTS = ("arguments", "parameters", "args", "input")
_DECODER = json.JSONDecoder()
_NAME = r"[A-Za-z_][\w.-]*"
_MARK = r"\[ARGS\]|<\|[a-z_]+\|>|>|commentary\b|json\b|```json"
# A name at the start of a line or after a mark, and between it and its arguments nothing but marks.
_NAMED = re.compile(rf"(?:^|[\]>=])[ ]*({_NAME})(?::\d+)?(?:\s?(?:{_MARK}))*\s*(?={{)", re.MULTILINE)
_MARKUP = re.compile(
    rf"<function=({_NAME})>(.*?)</function>"
    rf'|<invoke name="({_NAME})">(.*?)</invoke>'
    rf"|<tool_call>\s*({_NAME})\s*(?=<arg_key>|</tool_call>)(.*?)</tool_call>",
    re.DOTALL,
)
_ARGUMENT = re.compile(
    rf'<parameter(?:=({_NAME})|\s+name="({_NAME})"[^>]*)>(.*?)</parameter>'
    r"|<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>",
    re.DOTALL,
)
_FENCE = re.compile(
    r"\A\s*(?:```(?:tool_code|python)?|<\|tool_call_start\|>)(.*?)(?:```|<\|tool_call_end\|>)\s*\Z", re.DOTALL
)
_LONGEST_PYTHON = 20_000


def json_calls(text: str) -> Iterator[ExpectedCall]:
    """Yield ``{"name": "f", "arguments": {}}``, alone or in lists, in ``tool_calls``, or under ``function``."""
    for value in _json_values(text):
        yield from _calls_of(value)


def named_json_calls(text: str) -> Iterator[ExpectedCall]:
    """Yield ``f{}``, ``[TOOL_CALLS]f[ARGS]{}``, ``<function=f>{}`` and ``to=functions.f … {}``."""
    end = 0
    while match := _NAMED.search(text, end):
        try:
            value, end = _DECODER.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            end = match.end()
            continue
        yield ExpectedCall(name=match[1].removeprefix("functions."), arguments=value)


def markup_calls(text: str) -> Iterator[ExpectedCall]:
    """Yield ``<function=f><parameter=a>1</parameter></function>`` and its like; values are JSON, or else texts."""
    for match in _MARKUP.finditer(text):
        name, body = (part for part in match.groups() if part is not None)
        pairs = ([part for part in each.groups() if part is not None] for each in _ARGUMENT.finditer(body))
        arguments = {key.strip(): _json_or_text(value) for key, value in pairs}
        if arguments or not body.strip():
            yield ExpectedCall(name=name, arguments=arguments)


def python_calls(text: str) -> Iterator[ExpectedCall]:
    """Yield ``[f(a=1), g()]`` if the whole text is such a list, or one call in a fence of code."""
    fenced = _FENCE.match(text)
    code = (fenced[1] if fenced else text).strip()
    if not (fenced or code.startswith("[")) or len(code) > _LONGEST_PYTHON:
        return
    try:
        body = ast.parse(code, mode="eval").body
        nodes = body.elts if isinstance(body, ast.List) else [body]
        calls = [_python_call(node) for node in nodes]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    yield from calls


FORMS: tuple[Callable[[str], Iterator[ExpectedCall]], ...] = (markup_calls, named_json_calls, json_calls, python_calls)
"""Every form; a text is read by the first one that finds a call in it."""


def _json_values(text: str) -> Iterator[object]:
    """Yield the JSON objects and lists in a text, none inside another."""
    place = 0
    while place < len(text):
        if text[place] in "{[":
            try:
                value, place = _DECODER.raw_decode(text, place)
            except (ValueError, RecursionError):
                place += 1
                continue
            yield value
        else:
            place += 1


def _calls_of(value: object) -> Iterator[ExpectedCall]:
    if isinstance(value, list):
        for inner in value:
            yield from _calls_of(inner)
    elif isinstance(value, Mapping):
        if isinstance(value.get("tool_calls"), list):
            yield from _calls_of(value["tool_calls"])
        elif isinstance(value.get("function"), Mapping):
            yield from _calls_of(value["function"])
        else:
            yield from _json_call(value)


def _json_call(value: Mapping[str, object]) -> Iterator[ExpectedCall]:
    name = next((value[key] for key in _NAMES if key in value), None)
    given = next((value[key] for key in _ARGUMENTS if key in value), None)
    if isinstance(given, str):
        given = _json_or_text(given)
    if isinstance(name, str) and isinstance(given, Mapping):
        yield ExpectedCall(name=name, arguments=given)


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip("\n")


def _python_call(node: ast.expr) -> ExpectedCall:
    """Return a call with named arguments that are literals.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(node, ast.Call) or node.args or any(each.arg is None for each in node.keywords):
        raise ValueError("no call with named arguments")
    arguments = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
    return ExpectedCall(name=ast.unparse(node.func), arguments=arguments)
