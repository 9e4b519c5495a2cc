"""Chat templates: code that came with a model, run in jinja2's sandbox and bounded in time and size.

A clock is read at every loop turn, macro call, filter and written piece, so it works in any thread. Weights (`limits`)
are checked where a value is kept, handed to a call, repeated, joined, formatted or written. One filter or expression
at work inside jinja2 is not interrupted: the bounds stop runaway templates and the known means to exhaust a machine.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from jinja2 import Template, TemplateSyntaxError, nodes, pass_environment
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from tunelab.errors import ModelError
from tunelab.rendering.templates.early_exit import leave_early
from tunelab.rendering.templates.limit_checks import with_bounds
from tunelab.rendering.templates.limits import (
    MAX_TEXT_CHARS,
    UNSAFE_METHODS,
    TemplateLimitError,
    bounded,
    guarded,
    metered,
    refuse_above,
    refuse_binop,
    refuse_method,
    weight,
)
from tunelab.rendering.templates.prefixes import (
    FLAG,
    LoggedMessages,
    LooksAheadError,
    Message,
    Prefixes,
    ReadLog,
    mark_rounds,
)
from tunelab.rendering.tokens.marked_text import Marked

MAX_SOURCE_CHARS = 100_000
MAX_SECONDS = 10.0
_MAX_WRITTEN_CHARS = 5 * MAX_TEXT_CHARS
"""In macros and other pieces that are held back, each time a text passes through one."""


class ChatTemplate:
    """A compiled chat template: the same text for the same input, on any day.

    Args:
        source: the jinja text.
        where: the file it came from, for messages.
        variables: what it may read besides messages and tools: special tokens, the recipe's keyword arguments.
        today: the day that `strftime_now` returns, at midnight.

    Raises:
        ModelError: the source is too long or no jinja.
    """

    def __init__(self, source: str, *, where: str, variables: Mapping[str, object], today: date) -> None:
        if len(source) > MAX_SOURCE_CHARS:
            what = f"the chat template has {len(source):,} characters"
            raise ModelError(what, where=where, expected=f"at most {MAX_SOURCE_CHARS:,}")
        self._variables = dict(variables)
        self._environment = _Environment(today)
        try:
            tree = with_bounds(leave_early(self._environment.parse(source)))
            self._proves_prefixes = mark_rounds(tree)
            self._template = self._environment.compiled(tree)
        except TemplateSyntaxError as error:
            what = f"the chat template is not valid jinja ({error.message})"
            remedy = "Fix it, or name another file in data.chat_template."
            raise ModelError(what, where=f"{where}:{error.lineno}", remedy=remedy) from error
        except ValueError as error:
            raise ModelError(f"the chat template cannot be compiled ({error})", where=where) from error
        except (RecursionError, SyntaxError, MemoryError) as error:  # what Python says of code nested beyond its limits
            raise ModelError("the chat template is nested too deeply", where=where) from error

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, object]] = (),
        *,
        add_generation_prompt: bool,
    ) -> str:
        """Return the text of a conversation.

        Raises:
            Exception: whatever the template raises, `TemplateRefusalError` and `TemplateLimitError` among it.
        """
        return self._written(messages, tools, ReadLog(), add_generation_prompt=add_generation_prompt)

    def prefixes(self, messages: Sequence[Message], tools: Sequence[Mapping[str, object]] = ()) -> Prefixes | None:
        """Return the text of a conversation and of shorter ones in it; None if the template reads ahead.

        Raises:
            Exception: as `render`.
        """
        if not self._proves_prefixes:
            return None
        log = ReadLog()
        logged = LoggedMessages(log, messages, 0, len(messages))
        try:
            text = self._written(logged, tools, log, add_generation_prompt=True)
        except LooksAheadError:
            return None
        ends = log.ends | {len(messages): log.loop_end}
        return Prefixes(text=Marked(text[: log.loop_end]), opening=text[log.loop_end :], ends=ends)

    def _written(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, object]],
        log: ReadLog,
        *,
        add_generation_prompt: bool,
    ) -> str:
        given = {"tools": list(tools) or None, "documents": None, "messages": messages, FLAG: add_generation_prompt}
        return self._environment.written(self._template, {**self._variables, **given}, log)


class TemplateRefusalError(Exception):
    """The template called `raise_exception`; the words are its own."""


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox as transformers sets it up for chat templates, and the bounds."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, today: date) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"])
        self._here = threading.local()
        self.filters = guarded(self.filters | {"tojson": _to_json}, self.tick)
        self.filters |= {"bounded": bounded, "written": _written}
        del self.globals["lipsum"]  # gives another text each time
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = datetime.combine(today, datetime.min.time()).strftime

    def compiled(self, tree: nodes.Template) -> Template:
        """Return a template, bounded while what is constant in it is worked out."""
        with self._clock(ReadLog()):
            code = self.compile(tree)
        return Template.from_code(self, code, self.make_globals(None))

    def written(self, template: Template, variables: Mapping[str, object], log: ReadLog) -> str:
        """Return what a template writes, bounded in time and size."""
        context = Context(self, {**self.globals, **variables}, None, {})
        texts = []
        with self._clock(log):
            for text in template.root_render_func(context):
                self.tick()
                log.size += len(text)
                refuse_above(log.size)
                texts.append(text)
        return "".join(texts)

    @contextmanager
    def _clock(self, log: ReadLog) -> Iterator[None]:
        """Bound the time of what runs inside, in this thread, and note in `log` what it does."""
        self._here.deadline, self._here.log = time.monotonic() + MAX_SECONDS, log
        self._here.written = 0
        try:
            yield
        finally:
            del self._here.deadline, self._here.log

    def tick(self) -> None:
        if time.monotonic() > getattr(self._here, "deadline", float("inf")):
            raise TemplateLimitError(f"it ran longer than {MAX_SECONDS:.0f} seconds")

    def rounds(self, items: Any) -> Any:
        return self._here.log.rounds(items)

    def round_begins(self) -> None:
        self._here.log.round_begins()

    def round_ends(self) -> None:
        self._here.log.round_ends()

    def loop_ends(self) -> None:
        self._here.log.loop_ends()

    def count_written(self, size: int) -> None:
        self._here.written = getattr(self._here, "written", 0) + size
        refuse_above(self._here.written, _MAX_WRITTEN_CHARS)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return super().is_safe_attribute(obj, attr, value) and not (isinstance(obj, str) and attr in UNSAFE_METHODS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        # What jinja does with a key of a dict or namespace, without its search for a method of that name first.
        if type(obj) is dict and attribute in obj and attribute not in _METHODS_OF_DICTS:
            return obj[attribute]
        if type(obj) is Namespace and attribute in (held := obj._Namespace__attrs):
            return held[attribute]
        if type(obj) is LoggedMessages:
            obj = obj.all()
        return super().getattr(obj, attribute)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        refuse_binop(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if getattr(obj, "__self__", None) is self:  # what was written into the template here
            return obj(*args)
        if any(type(value) is not str for value in args):
            args = tuple([bounded(metered(value, self.tick)) for value in args])
        values = [*args, *map(bounded, kwargs.values())]
        for value in args:
            if isinstance(value, str):
                refuse_above(len(value))
        method = getattr(obj, "__wrapped__", obj)  # the sandbox wraps str.format
        if isinstance(owner := getattr(method, "__self__", None), str):
            refuse_method(method.__name__, owner, values)
        return super().call(context, obj, *args, **kwargs)


_METHODS_OF_DICTS = frozenset(dir(dict))


class _Generation(Extension):
    """`{% generation %}` marks what an assistant writes; here it only opens a scope, for rendering finds that text."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 requires a plain set

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


@pass_environment
def _written(environment: _Environment, value: Any) -> Any:
    """Return what is written into something that is held back, and count it."""
    environment.count_written(len(value) if isinstance(value, str) else weight(value))
    return value


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
