"""Figures of answers that are to be JSON: valid, by the schema, right field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tunelab.evaluation.figures.figure import Figure, mean_figure, ratio

_MISSING = object()


@dataclass(frozen=True, kw_only=True)
class JsonRow:
    """An answer and its reference, which is JSON."""

    answer: str
    reference: str
    schema_faults: int | None = None
    """How often the answer breaks the schema; None without a schema."""

    @cached_property
    def fields(self) -> tuple[dict[str, object] | None, dict[str, object]]:
        """The leaves of answer and reference by path; None for an answer that is no JSON."""
        expected = dict(leaves(json.loads(self.reference)))
        try:
            return dict(leaves(json.loads(self.answer, parse_constant=_refuse))), expected
        except (ValueError, RecursionError):
            return None, expected


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield path and value of each leaf of a JSON value; empty objects and lists are leaves."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def equal_leaves(first: object, second: object) -> bool:
    """Return whether two leaves are the same JSON value: 1 and 1.0 are, 1 and true are not."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    return first == second


def _right_fields(row: JsonRow) -> tuple[float, float]:
    answered, expected = row.fields
    own = answered or {}
    right = sum(equal_leaves(own.get(path, _MISSING), value) for path, value in expected.items())
    return float(right), float(len(expected))


def _num_keys(row: JsonRow, *, extra: bool) -> float | None:
    answered, expected = row.fields
    if answered is None:
        return None
    surplus = answered.keys() - expected.keys() if extra else expected.keys() - answered.keys()
    return float(len(surplus))


JSON_ANSWERS: Sequence[Figure[JsonRow]] = (
    mean_figure(
        "json_valid",
        title="Valid JSON",
        meaning="answers that are JSON and nothing else",
        better="higher",
        of=lambda row: float(row.fields[0] is not None),
        is_share=True,
    ),
    mean_figure(
        "schema_valid",
        title="By the schema",
        meaning="answers that are JSON and keep the schema",
        better="higher",
        of=lambda row: (
            None if row.schema_faults is None else float(row.fields[0] is not None and not row.schema_faults)
        ),
        is_share=True,
    ),
    Figure(
        name="field_accuracy",
        title="Fields right",
        meaning="fields of the references that the answer has, with the same value; of invalid answers none",
        better="higher",
        summands=_right_fields,
        value=lambda sums: ratio(sums[..., 0], sums[..., 1]),
    ),
    mean_figure(
        "extra_keys",
        title="Extra fields",
        meaning="fields that the reference does not have, mean over valid answers",
        better="lower",
        of=lambda row: _num_keys(row, extra=True),
    ),
    mean_figure(
        "missing_keys",
        title="Missing fields",
        meaning="fields of the reference that are not there, mean over valid answers",
        better="lower",
        of=lambda row: _num_keys(row, extra=False),
    ),
)
"""Every figure of JSON answers, in the order of a report."""


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")
