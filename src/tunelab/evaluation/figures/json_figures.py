"""Figures of answers that are to be JSON: valid, by the schema, right field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from tunelab.conversations.conversation import ToolCall
from tunelab.errors import DataError
from tunelab.evaluation.figures.answer_figures import of_texts
from tunelab.evaluation.figures.figure import Figure, mean_figure, ratio
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow

_MISSING = object()


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


def fields_of(text: str) -> dict[str, object] | None:
    """Return the leaves of a JSON text by path; None if it is no JSON and nothing else."""
    try:
        return dict(leaves(json.loads(text, parse_constant=_refuse)))
    except (ValueError, RecursionError):
        return None


def is_equal_json(answer: str, reference: str) -> bool:
    """Return whether two texts are the same JSON value, whatever the order of keys."""
    own, expected = fields_of(answer), fields_of(reference)
    if own is None or expected is None or own.keys() != expected.keys():
        return False
    return all(equal_leaves(own[path], value) for path, value in expected.items())


def json_figures(schema: Mapping[str, object] | None = None) -> Sequence[Figure[EvaluatedRow]]:
    """Return every figure of JSON answers, in the order of a report; of a schema if there is one.

    Raises:
        DataError: nothing can be checked by the schema.
    """
    by_schema = [] if schema is None else [_schema_figure(schema)]
    return (*_JSON, *by_schema)


def _schema_figure(schema: Mapping[str, object]) -> Figure[EvaluatedRow]:
    from tunelab.checks.tool_schema import Arguments

    if fault := Arguments(schema).fault:
        raise DataError(f"the schema of answers {fault}", expected="a JSON Schema of an object")
    # What a schema does not name it allows, unless it says otherwise: so JSON Schema has it, and tools do not.
    arguments = Arguments({"additionalProperties": True, **schema})

    def keeps_schema(answer: str, _: str) -> float | None:
        try:
            value = json.loads(answer, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return 0.0
        keeps = isinstance(value, dict) and not arguments.wrong_with(ToolCall(name="", arguments=value))
        return None if arguments.fault else float(keeps)

    return mean_figure(
        "schema_valid",
        title="By the schema",
        meaning="answers that are JSON and keep the schema",
        better="higher",
        of=of_texts(keeps_schema),
        is_share=True,
    )


def _right_fields(row: EvaluatedRow) -> tuple[float, float]:
    expected = fields_of(row.item.reference)
    if row.answer is None or expected is None:
        return 0.0, 0.0
    own = fields_of(row.answer.text) or {}
    right = sum(equal_leaves(own.get(path, _MISSING), value) for path, value in expected.items())
    return float(right), float(len(expected))


def _num_extra(answer: str, reference: str) -> float | None:
    own, expected = fields_of(answer), fields_of(reference)
    return None if own is None or expected is None else float(len(own.keys() - expected.keys()))


def _num_missing(answer: str, reference: str) -> float | None:
    return _num_extra(reference, answer)


_JSON: Sequence[Figure[EvaluatedRow]] = (
    mean_figure(
        "json_equal",
        title="JSON equal",
        meaning="answers that are the reference's JSON value, whatever the order of keys",
        better="higher",
        of=of_texts(is_equal_json),
        is_share=True,
    ),
    mean_figure(
        "json_valid",
        title="Valid JSON",
        meaning="answers that are JSON and nothing else",
        better="higher",
        of=of_texts(lambda answer, _: fields_of(answer) is not None),
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
        of=of_texts(_num_extra),
    ),
    mean_figure(
        "missing_keys",
        title="Missing fields",
        meaning="fields of the reference that are not there, mean over valid answers",
        better="lower",
        of=of_texts(_num_missing),
    ),
)


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")
