"""Chat templates: code that came with a model, run in jinja2's sandbox and bounded in time and size.

A clock is read at every loop turn, macro call and written piece, so it works in any thread. Lengths are looked at
where a value is kept, handed to a call, repeated or written. One filter or expression at work inside jinja2 is not
interrupted: the bounds stop runaway templates and the cheap ways to exhaust a machine; they are no wall.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import wraps
from typing import Any

from jinja2 import Template, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tunelab.errors import ModelError
from tunelab.rendering.watched import Steps, Watcher, message_loop

MAX_SOURCE_CHARS = 500_000
MAX_TEXT_CHARS = 20_000_000
MAX_SECONDS = 10.0
_MAX_NUMBER = 100_000  # no width, count or exponent of a chat template comes near it
_WIDE = re.compile(r"[%:]\D?\d{6}|%\*")


class ChatTemplate:
    """A compiled chat template: the same text for the same input, on any day.

    Args:
        source: the jinja text.
        where: the file it came from, for messages.
        variables: what it may read beside messages and tools: special tokens, the recipe's keyword arguments.
        today: the day that `strftime_now` tells, at midnight.

    Raises:
        ModelError: the source is too long or no jinja.
    """

    def __init__(self, source: str, *, where: str, variables: Mapping[str, object], today: date) -> None:
        if len(source) > MAX_SOURCE_CHARS:
            what = f"the chat template has {len(source):,} characters"
            raise ModelError(what, where=where, expected=f"at most {MAX_SOURCE_CHARS:,}")
        self._variables = dict(variables)
        self._environment = environment = _Environment(today)
        try:
            tree = environment.parse(source)
            loop = message_loop(tree)
            self._has_steps = loop is not None
            code = environment.compile(_with_bounds(tree, loop))
            self._template = Template.from_code(environment, code, environment.make_globals(None))
        except TemplateSyntaxError as error:
            what = f"the chat template is not valid jinja ({error.message})"
            remedy = "Mend it, or name another file in data.chat_template."
            raise ModelError(what, where=f"{where}:{error.lineno}", remedy=remedy) from error
        except (RecursionError, SyntaxError, MemoryError) as error:  # what Python says of code nested beyond its limits
            raise ModelError("the chat template is nested too deeply", where=where) from error

    def render(
        self,
        messages: Sequence[Mapping[str, object]],
        tools: Sequence[Mapping[str, object]] = (),
        *,
        add_generation_prompt: bool,
    ) -> str:
        """Return the text of a conversation.

        Raises:
            Exception: whatever the template raises, `TemplateRefusalError` and `TemplateLimitError` among it.
        """
        return self._written(messages, tools, add_generation_prompt, Watcher(()))

    def render_steps(
        self, messages: Sequence[Mapping[str, object]], tools: Sequence[Mapping[str, object]] = ()
    ) -> Steps | None:
        """Return the text of a conversation, and which beginnings of it are the texts of shorter conversations.

        None where the template's form does not allow to tell. Raises as `render` does.
        """
        if not self._has_steps:
            return None
        watcher = Watcher(messages)
        return watcher.steps(self._written(watcher.messages, tools, True, watcher))

    def _written(
        self,
        messages: Sequence[Mapping[str, object]],
        tools: Sequence[Mapping[str, object]],
        add_generation_prompt: bool,
        watcher: Watcher,
    ) -> str:
        parts = []
        with self._environment.clock(watcher):
            for part in self._template.generate(
                **self._variables,
                messages=messages,
                tools=list(tools) or None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
            ):
                self._environment.tick()
                watcher.size += len(part)
                _refuse_above(watcher.size, MAX_TEXT_CHARS)
                parts.append(part)
        return "".join(parts)


class TemplateLimitError(SecurityError):
    """A template ran too long or asked for too much."""


class TemplateRefusalError(Exception):
    """The template called `raise_exception`; the words are its own."""


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox as transformers sets it up for chat templates, and the bounds."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, today: date) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"])
        self._here = threading.local()
        self.filters["tojson"] = _to_json
        self.filters["bounded"] = _bounded
        for name in ("center", "indent", "wordwrap", "batch", "slice", "format", "replace"):
            self.filters[name] = _modest(self.filters[name])
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = datetime.combine(today, datetime.min.time()).strftime

    @contextmanager
    def clock(self, watcher: Watcher) -> Iterator[None]:
        """Bound the time of what runs inside, in this thread, and let `watcher` see it."""
        self._here.deadline, self._here.watcher = time.monotonic() + MAX_SECONDS, watcher
        try:
            yield
        finally:
            del self._here.deadline, self._here.watcher

    def tick(self) -> None:
        if time.monotonic() > getattr(self._here, "deadline", float("inf")):
            raise TemplateLimitError(f"it ran longer than {MAX_SECONDS:.0f} seconds")

    def begin_message(self, message: object) -> None:
        self.tick()
        self._here.watcher.begin(message)

    def end_message(self) -> None:
        self._here.watcher.end()

    def close_messages(self) -> None:
        self._here.watcher.close()

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            for value, times in ((left, right), (right, left)):
                if isinstance(value, (str, list, tuple)) and isinstance(times, int):
                    _refuse_above(len(value) * times, MAX_TEXT_CHARS)
        elif operator == "**":
            _refuse_swelling("power", [left, right])
        elif isinstance(left, str):
            _refuse_swelling("format", [left])
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if getattr(obj, "__self__", None) is self:  # what was written into the template here
            return obj(*args)
        values = [*args, *kwargs.values()]
        method = getattr(obj, "__wrapped__", obj)  # the sandbox wraps str.format
        if isinstance(owner := getattr(method, "__self__", None), str):
            _refuse_swelling(method.__name__, [owner, *values])
        _bounded(values)
        return super().call(context, obj, *args, **kwargs)


class _Generation(Extension):
    """`{% generation %}` marks what an assistant writes; here it only opens a scope, for rendering finds that text."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 wants a plain set

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def _with_bounds(tree: nodes.Template, loop: nodes.For | None) -> nodes.Template:
    """Write the looking at clock and lengths into a parsed template, and the watching into its message loop."""
    repeated: list[nodes.For | nodes.Macro] = [*tree.find_all(nodes.For), *tree.find_all(nodes.Macro)]
    for node in repeated:
        if node is not loop:
            node.body.insert(0, _call("tick", node.lineno))
    if loop is not None and isinstance(loop.target, nodes.Name):
        message = nodes.Name(loop.target.name, "load", lineno=loop.lineno)
        loop.body.insert(0, _call("begin_message", loop.lineno, message))
        loop.body.append(_call("end_message", loop.lineno))
        tree.body.insert(tree.body.index(loop) + 1, _call("close_messages", loop.lineno))
    for assign in [*tree.find_all(nodes.Assign)]:
        assign.node = nodes.Filter(assign.node, "bounded", [], [], None, None, lineno=assign.lineno)
    for block in [*tree.find_all(nodes.AssignBlock)]:
        block.filter = nodes.Filter(block.filter, "bounded", [], [], None, None, lineno=block.lineno)
    return tree


def _call(method: str, line: int, *arguments: nodes.Expr) -> nodes.Stmt:
    """Return the statement that calls a method of the environment."""
    call = nodes.Call(nodes.EnvironmentAttribute(method), list(arguments), [], None, None, lineno=line)
    return nodes.ExprStmt(call, lineno=line)


def _bounded(value: Any) -> Any:
    """Return `value`, or refuse it: a text that is too long, or a list or tuple with one in it."""
    for part in value if isinstance(value, (list, tuple)) else (value,):
        if isinstance(part, str):
            _refuse_above(len(part), MAX_TEXT_CHARS)
    return value


def _modest(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that looks at what it is asked for before it works."""

    @wraps(function)  # jinja2 marks filters that want its context with an attribute
    def modest(*args: Any, **kwargs: Any) -> Any:
        _refuse_swelling(function.__name__, [*args, *kwargs.values()])
        return function(*args, **kwargs)

    return modest


def _refuse_swelling(name: str, values: Sequence[object]) -> None:
    """Refuse large widths and counts, and replacements that swell; `values` begins with the text that is worked on."""
    texts = [value for value in values if isinstance(value, str)]
    for number in [value for value in values if isinstance(value, int)]:
        _refuse_above(abs(number), _MAX_NUMBER)
    if "format" in name and any(map(_WIDE.search, texts)):
        raise TemplateLimitError(f"it formats with a width above {_MAX_NUMBER:,}")
    if "replace" in name and len(texts) >= 3:
        _refuse_above(texts[0].count(texts[1]) * len(texts[2]), MAX_TEXT_CHARS)


def _refuse_above(size: int, limit: int) -> None:
    if size > limit:
        raise TemplateLimitError(f"it asked for {size:,}, where {limit:,} is the limit")


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise TemplateRefusalError(message)
