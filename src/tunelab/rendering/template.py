"""Chat templates: code that came with a model, run in jinja2's sandbox and bounded in time and size.

A clock is read at every loop turn, macro call, filter and written piece, so it works in any thread. Weights (`bounds`)
are looked at where a value is kept, handed to a call, repeated, joined, formatted or written. One filter or expression
at work inside jinja2 is not interrupted: the bounds stop runaway templates and the ways known to exhaust a machine.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, cast

from jinja2 import Template, TemplateSyntaxError, nodes, pass_environment
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tunelab.errors import ModelError
from tunelab.rendering.bounds import (
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
from tunelab.rendering.watched import Steps, Watcher, message_loop

MAX_SOURCE_CHARS = 100_000
MAX_SECONDS = 10.0
_MAX_WRITTEN_CHARS = 5 * MAX_TEXT_CHARS
"""In macros and other pieces that are held back, each time a text passes through one."""
_LONG_CHAIN = 8


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
            with environment.clock(Watcher(())):  # what is constant is worked out now
                tree = environment.parse(source)
                loop = message_loop(tree)
                self._has_steps = loop is not None
                code = environment.compile(_with_bounds(tree, loop))
            self._template = Template.from_code(environment, code, environment.make_globals(None))
        except TemplateSyntaxError as error:
            what = f"the chat template is not valid jinja ({error.message})"
            remedy = "Mend it, or name another file in data.chat_template."
            raise ModelError(what, where=f"{where}:{error.lineno}", remedy=remedy) from error
        except ValueError as error:
            raise ModelError(f"the chat template cannot be compiled ({error})", where=where) from error
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
                refuse_above(watcher.size)
                parts.append(part)
        return "".join(parts)


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

    @contextmanager
    def clock(self, watcher: Watcher) -> Iterator[None]:
        """Bound the time of what runs inside, in this thread, and let `watcher` see it."""
        self._here.deadline, self._here.watcher = time.monotonic() + MAX_SECONDS, watcher
        self._here.written = 0
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

    def count_written(self, size: int) -> None:
        self._here.written = getattr(self._here, "written", 0) + size
        refuse_above(self._here.written, _MAX_WRITTEN_CHARS)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return super().is_safe_attribute(obj, attr, value) and not (isinstance(obj, str) and attr in UNSAFE_METHODS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        # What jinja does with a key of a dict, but for asking the dict first for a method that it has not.
        if type(obj) is dict and attribute in obj and attribute not in _METHODS_OF_DICTS:
            return obj[attribute]
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
        assign.node = _filtered(assign.node, "bounded")
    for scope in [*tree.find_all(nodes.With)]:
        scope.values = [_filtered(value, "bounded") for value in scope.values]
    for turns in [*tree.find_all(nodes.For)]:
        if turns.iter.find(_LITERALS):
            turns.iter = _filtered(turns.iter, "bounded")
    for block in [*tree.find_all(nodes.AssignBlock)]:
        block.filter = nodes.Filter(block.filter, "bounded", [], [], None, None, lineno=block.lineno)
    _bound_chains(tree)
    for held in [*tree.find_all(_HELD_BACK)]:
        if not isinstance(held, nodes.For) or held.recursive:
            for output in held.find_all(nodes.Output):
                output.nodes = [
                    each if _is_counted(each) else _filtered(_as_value(each), "written") for each in output.nodes
                ]
    return tree


_HELD_BACK = (nodes.Macro, nodes.CallBlock, nodes.AssignBlock, nodes.FilterBlock, nodes.Block, nodes.For)
"""What is held back is counted while it is written; everything else comes out piece by piece."""


_LITERALS = cast(type[nodes.Expr], (nodes.List, nodes.Tuple, nodes.Dict))


def _is_counted(node: nodes.Expr) -> bool:
    return isinstance(node, nodes.Filter) and node.name == "written"


def _as_value(node: nodes.Expr) -> nodes.Expr:
    return nodes.Const(node.data, lineno=node.lineno) if isinstance(node, nodes.TemplateData) else node


def _bound_chains(tree: nodes.Template) -> None:
    """Look at every eighth sum of a long chain of `+`, and count all that a long `~` joins."""
    for total in [*tree.find_all(nodes.Add)]:
        length, left = 1, total.left
        while isinstance(left, nodes.Add):
            length, left = length + 1, left.left
        if length % _LONG_CHAIN == 0:
            total.left = _filtered(total.left, "bounded")
    for output in [*tree.find_all(nodes.Concat)]:
        if len(output.nodes) > _LONG_CHAIN:
            output.nodes = [_filtered(each, "written") for each in output.nodes]


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(cast(nodes.Expr, node), name, [], [], None, None, lineno=node.lineno)


def _call(method: str, line: int, *arguments: nodes.Expr) -> nodes.Stmt:
    """Return the statement that calls a method of the environment."""
    call = nodes.Call(nodes.EnvironmentAttribute(method), list(arguments), [], None, None, lineno=line)
    return nodes.ExprStmt(call, lineno=line)


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
