"""Searches of a chat template, ended where they have found.

jinja2 itself has no `break`, so templates that look for the last question go on through all other messages with a mark
that says that nothing is to be done any more. A loop is left where such a mark is set.
"""

from jinja2 import nodes


def leave_early(tree: nodes.Template) -> nodes.Template:
    """Write a `break` into the loops of a parsed template of which no later round can do anything; return the tree."""
    spaces = _namespaces_in(tree)
    for loop in [*tree.find_all(nodes.For)]:
        stop = _mark_of(loop, spaces)
        if stop is not None:
            line = loop.lineno
            loop.body.insert(0, nodes.If(stop, [nodes.Break(lineno=line)], [], [], lineno=line))
    return tree


def _namespaces_in(tree: nodes.Template) -> set[str]:
    """Return the names that nothing but a namespace is given in a template."""
    made, others = set(), set()
    for assign in tree.find_all(nodes.Assign):
        value = assign.node.node if isinstance(assign.node, nodes.Filter) else assign.node
        is_made = isinstance(value, nodes.Call) and getattr(value.node, "name", "") == "namespace"
        if is_made and isinstance(assign.target, nodes.Name):
            made.add(assign.target.name)
        else:
            others |= _stored_in(assign.target)
    for node in tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock, nodes.With, nodes.AssignBlock)):
        targets = [node.target] if isinstance(node, nodes.For | nodes.AssignBlock) else []
        targets += getattr(node, "args", []) + getattr(node, "targets", [])
        others |= set().union(*map(_stored_in, targets))
    return made - others


def _stored_in(target: nodes.Node) -> set[str]:
    """Return the names that a target gives a value; an attribute of a namespace is none."""
    names = {target.name} if isinstance(target, nodes.Name) else set()
    return names.union(*map(_stored_in, target.iter_child_nodes()))


def _mark_of(loop: nodes.For, spaces: set[str]) -> nodes.Expr | None:
    """Return what holds once the rounds of a loop do nothing; None where that is not known.

    All a round does is in one `if`, which first tests an attribute of a namespace that nothing else can change.
    """
    body = [node for node in loop.body if not _is_empty(node)]
    if loop.recursive or not body or not isinstance(last := body[-1], nodes.If) or not all(map(_is_idle, body[:-1])):
        return None
    test: nodes.Expr = last.test  # type: ignore[assignment]  # jinja2 says no more than that it is a node
    if last.elif_ or last.else_:
        does_nothing = all(map(_is_empty, last.body))
        return test if does_nothing and _is_attribute(test, spaces) else None
    first = test
    while isinstance(first, nodes.And):
        first = first.left
    if isinstance(first, nodes.Not) and _is_attribute(first.node, spaces):
        return first.node
    return nodes.Not(first, lineno=first.lineno) if _is_attribute(first, spaces) else None


def _is_attribute(node: nodes.Node, spaces: set[str]) -> bool:
    """Whether a node reads an attribute of a namespace; those of a message, or of `loop`, change by themselves."""
    return isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name in spaces


def _is_empty(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Output) and all(
        isinstance(part, nodes.TemplateData) and not part.data for part in node.nodes
    )


def _is_idle(node: nodes.Node) -> bool:
    """Whether a statement does nothing but give a name to what it reads."""
    return isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name) and node.find(nodes.Call) is None
