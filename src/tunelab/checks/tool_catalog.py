"""Tool catalogues: which tools a conversation offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tunelab.checks.tool_schema import Arguments


class Catalogue:
    """The tools that a conversation offers."""

    def __init__(self, functions: Sequence[Mapping[str, Any]], known: dict[bytes, Arguments]) -> None:
        self._all: dict[str, list[Mapping[str, Any]]] = {}
        for function in functions:
            self._all.setdefault(str(function.get("name")), []).append(function)
        self._known = known
        self._own: dict[str, tuple[Arguments, ...]] = {}
        self.twice = tuple(name for name, defined in self._all.items() if len(defined) > 1)
        """Names that it gives to more than one tool."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its tools."""
        return tuple(self._all)

    def arguments(self, name: str) -> tuple[Arguments, ...]:
        """Return what each definition of a tool takes; tools that are equal share one answer over all catalogues."""
        from tunelab.checks.tool_schema import Arguments  # a sixth of a second, which data without tools need not pay

        if name not in self._own:
            for function in self._all[name]:
                key = _key(function.get("parameters"))
                if key not in self._known:
                    self._known[key] = Arguments(function.get("parameters"))
            self._own[name] = tuple(self._known[_key(function.get("parameters"))] for function in self._all[name])
        return self._own[name]


class Catalogues:
    """Catalogues by the tools of conversations; each different one is made once."""

    def __init__(self) -> None:
        self._by_object: dict[int, tuple[object, Catalogue]] = {}
        self._by_content: dict[bytes, Catalogue] = {}
        self._known: dict[bytes, Arguments] = {}

    def of(self, tools: Sequence[Mapping[str, Any]]) -> Catalogue:
        """Return the catalogue of some tools."""
        kept = self._by_object.get(id(tools))
        if kept is None:
            key = _key(tools)
            if key not in self._by_content:
                functions = [function for tool in tools if isinstance(function := tool.get("function"), Mapping)]
                self._by_content[key] = Catalogue(functions, self._known)
            kept = self._by_object[id(tools)] = (tools, self._by_content[key])  # held, so that its id stays its own
        return kept[1]


def _key(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):  # what JSON has no word for: numbers too large
        return repr(value).encode(errors="replace")
