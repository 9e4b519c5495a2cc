"""Checks of clock and lengths, written into a parsed template."""

from typing import cast

from jinja2 import nodes

_LONG_CHAIN = 8
_HELD_BACK = (nodes.Macro, nodes.CallBlock, nodes.AssignBlock, nodes.FilterBlock, nodes.Block, nodes.For)
"""What is held back is counted while it is written; everything else comes out piece by piece."""
_LITERALS = cast(type[nodes.Expr], (nodes.List, nodes.Tuple, nodes.Dict))


def with_bounds(tree: nodes.Template) -> nodes.Template:
    """Write calls of the environment's `tick`, and the filters `bounded` and `written`, into a tree; return it."""
    repeated: list[nodes.For | nodes.Macro] = [*tree.find_all(nodes.For), *tree.find_all(nodes.Macro)]
    for node in repeated:
        node.body.insert(0, nodes.ExprStmt(call_of("tick", [], node.lineno), lineno=node.lineno))
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


def call_of(method: str, arguments: list[nodes.Expr], line: int) -> nodes.Call:
    """Return the call of a method of the environment."""
    return nodes.Call(nodes.EnvironmentAttribute(method), arguments, [], None, None, lineno=line)


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
