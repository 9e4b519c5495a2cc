"""A chat template in parts: the stretches of it that run once a text, and between them its loops through the messages.

The body of such a loop becomes a template of its own, handed the message and a `loop` that `walk` makes. What a body
shares with other rounds is told beside it: names and attributes of namespaces that it reads, compares or sets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from jinja2 import nodes
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from tunelab.rendering.templates.early_exit import namespaces_in
from tunelab.rendering.templates.limit_checks import call_of
from tunelab.rendering.templates.recorded_messages import Key

Root = Callable[[Context], Iterator[str]]

FLAG = "add_generation_prompt"
ITEMS = "items_of_the_loop"
LOOP = "round_of_the_loop"
"""What a body's `loop` is called: inside of a round that can be left by `continue`, `loop` would be another one."""
_ONCE = "one_of_the_loop"
_ATTRIBUTES = frozenset(
    {"index", "index0", "first", "last", "length", "revindex", "revindex0", "previtem", "nextitem", "depth", "depth0"}
)
_OPERATORS = frozenset({"eq", "ne", "lt", "lteq", "gt", "gteq"})
_UNKNOWN = cast(type[nodes.Node], (nodes.Block, nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport))
_CHANGING = frozenset({"cycler", "joiner"})
"""Makers of things that change by being called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Straight:
    """What runs once a text; if a loop follows, it leaves what that one goes through under the name `ITEMS`."""

    run: Root
    reads: frozenset[str]
    """The names it reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """One round of a loop."""

    run: Root
    target: str
    exact: tuple[Key, ...]
    """What it reads of what stood before the loop."""
    compared: tuple[Key, ...]
    """What it only compares, by calls of the environment's `compared`."""
    assigned: tuple[Key, ...]
    """What it sets in namespaces."""
    reads_flag: bool
    """Whether it asks if a generation prompt is wanted."""


Part = Straight | Loop


def parts_of(tree: nodes.Template, compiled: Callable[[nodes.Template], Root]) -> tuple[Part, ...]:
    """Return the parts of a parsed template, which is taken apart; empty where its form does not allow it.

    Args:
        compiled: makes a function of a tree.
    """
    names = {name.name for name in tree.find_all(nodes.Name)}
    if names & {ITEMS, LOOP, _ONCE, *_CHANGING} or tree.find(_UNKNOWN) is not None:
        return ()
    tree = _Comparisons(namespaces_in(tree)).visit(tree)
    macros = [*tree.find_all(nodes.Macro)]
    parts: list[Part] = []
    straight: list[nodes.Node] = []
    for node in tree.body:
        if not isinstance(node, nodes.For) or (body := _as_round(node)) is None:
            straight.append(node)
            continue
        assert isinstance(node.target, nodes.Name)
        line, uses = node.lineno, _uses([*body, *macros])
        straight.append(nodes.Assign(nodes.Name(ITEMS, "store", lineno=line), node.iter, lineno=line))
        parts.append(_straight(straight, compiled))
        straight = []
        exact = {key for key in uses.exact if key[0] != node.target.name}
        parts.append(
            Loop(
                run=compiled(nodes.Template(body, lineno=1)),
                target=node.target.name,
                exact=tuple(sorted(exact - uses.assigned)),
                compared=tuple(sorted(uses.compared - exact - uses.assigned)),
                assigned=tuple(sorted(uses.assigned)),
                reads_flag=(FLAG, "") in exact,
            )
        )
    if not parts:
        return ()
    return (*parts, _straight(straight, compiled))


def _straight(some: list[nodes.Node], compiled: Callable[[nodes.Template], Root]) -> Straight:
    tree = nodes.Template(some, lineno=1)
    reads = frozenset(name.name for name in tree.find_all(nodes.Name) if name.ctx == "load")
    return Straight(run=compiled(tree), reads=reads)


def _as_round(loop: nodes.For) -> list[nodes.Node] | None:
    """Return the body of a loop through the messages, or their numbers, as statements that may stand alone.

    None where that cannot be: the loop goes through something else, or a round decides what others there are.
    """
    by_name = isinstance(loop.iter, nodes.Name)
    by_number = isinstance(loop.iter, nodes.Call) and getattr(loop.iter.node, "name", "") == "range"
    if not isinstance(loop.target, nodes.Name) or loop.recursive or loop.else_ or loop.test:
        return None
    jumps = {kind for node in loop.body for kind in _jumps(node)}
    if not (by_name or by_number) or nodes.Break in jumps or not all(map(_offered, loop.body)):
        return None
    for node in loop.body:
        _rename(node)
        for inside in node.find_all(nodes.For):
            _look_for_end(inside)
    if nodes.Continue not in jumps:
        return loop.body
    line = loop.lineno
    once = nodes.Name(_ONCE, "store", lineno=line)
    return [nodes.For(once, nodes.Tuple([nodes.Const(0)], "load"), loop.body, [], None, False, lineno=line)]


def _jumps(node: nodes.Node) -> Iterator[type[nodes.Node]]:
    """Yield the kinds of jumps out of a round that stand in a node, those of loops inside left aside."""
    if isinstance(node, nodes.Break | nodes.Continue):
        yield type(node)
    elif not isinstance(node, nodes.For):
        for child in node.iter_child_nodes():
            yield from _jumps(child)


def _offered(node: nodes.Node) -> bool:
    """Whether a body asks its `loop` for nothing but what `watched.Round` tells."""
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "loop":
        return node.attr in _ATTRIBUTES
    if isinstance(node, nodes.Name):
        return node.name != "loop"
    if isinstance(node, nodes.For):
        return _offered(node.iter)
    return all(map(_offered, node.iter_child_nodes()))


def _rename(node: nodes.Node) -> None:
    """Call the `loop` of a body `LOOP`, those of loops inside left aside."""
    if isinstance(node, nodes.Name) and node.name == "loop":
        node.name = LOOP
    elif isinstance(node, nodes.For):
        _rename(node.iter)
    else:
        for child in node.iter_child_nodes():
            _rename(child)


def _look_for_end(loop: nodes.For) -> None:
    """Let a loop over `range(start, messages | length)` ask how many messages there are only where it comes so far."""
    call = loop.iter
    if isinstance(call, nodes.Call) and getattr(call.node, "name", "") == "range" and len(call.args) in (1, 2):
        *start, end = call.args
        if isinstance(end, nodes.Filter) and end.name in ("length", "count") and isinstance(end.node, nodes.Name):
            loop.iter = call_of("places", [*(start or [nodes.Const(0)]), end.node], call.lineno)


@dataclass(slots=True)
class _Uses:
    exact: set[Key]
    compared: set[Key]
    assigned: set[Key]


def _uses(some: Sequence[nodes.Node]) -> _Uses:
    uses = _Uses(set(), set(), set())
    open_nodes: list[nodes.Node] = [*some]
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, nodes.NSRef):
            uses.assigned.add((node.name, node.attr))
        elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
            uses.exact.add((node.node.name, node.attr))
        elif isinstance(node, nodes.Name):
            uses.exact.add((node.name, ""))
        elif isinstance(node, nodes.Call) and getattr(node.node, "name", "") == _COMPARED:
            _, left, right, name, attribute, is_left = node.args
            uses.compared.add((name.value, attribute.value))  # type: ignore[attr-defined]
            open_nodes.append(right if is_left.value else left)  # type: ignore[attr-defined]
        else:
            open_nodes += node.iter_child_nodes()
    return uses


_COMPARED = "compared"


class _Comparisons(NodeTransformer):
    """Makes calls of comparisons with an attribute of a namespace, so that what they tell can be noted."""

    def __init__(self, spaces: set[str]) -> None:
        self._spaces = spaces

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802 - found by the node's name
        self.generic_visit(node)
        operand = node.ops[0]
        if len(node.ops) > 1 or operand.op not in _OPERATORS:
            return node
        for side, is_left in ((node.expr, True), (operand.expr, False)):
            if isinstance(side, nodes.Getattr) and isinstance(side.node, nodes.Name) and side.node.name in self._spaces:
                told = [side.node.name, side.attr, is_left]
                constants: list[nodes.Expr] = [nodes.Const(each, lineno=node.lineno) for each in told]
                operator = nodes.Const(operand.op, lineno=node.lineno)
                return call_of(_COMPARED, [operator, node.expr, operand.expr, *constants], node.lineno)
        return node
