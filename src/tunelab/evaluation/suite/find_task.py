"""What the answers of a set of rows are, found from its references."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from tunelab.errors import DataError
from tunelab.evaluation.figures.answer_figures import normalised
from tunelab.evaluation.rows.evaluated_row import TaskKind
from tunelab.evaluation.suite.config import TaskConfig

_MOST_LABELS = 50
_LONGEST_LABEL = 60
_ROWS_PER_LABEL = 3
"""References that recur less often on average are answers, not labels."""


def find_kinds(config: TaskConfig, references: Sequence[str], *, offers_tools: bool) -> tuple[TaskKind, ...]:
    """Return the kinds of figures that a task has.

    Args:
        config: names a kind, or leaves it to be found.
        references: of all rows, answers in words and tool calls as the template writes them.
        offers_tools: whether rows come with a catalogue of tools.
    """
    kind = config.kind
    if kind == "found":
        if config.labels or looks_like_labels(references):
            kind = "labels"
        elif offers_tools:
            kind = "tools"
        elif config.json_schema or (references and all(map(is_json_value, references))):
            kind = "json"
        else:
            kind = "generation"
    return ("generation", "loss") if kind == "generation" else ("generation", kind, "loss")


def looks_like_labels(references: Sequence[str]) -> bool:
    """Return whether some short references recur, as labels do; JSON and numbers are none."""
    distinct = Counter(reference.strip() for reference in references)
    if not 2 <= len(distinct) <= _MOST_LABELS or len(references) < _ROWS_PER_LABEL * len(distinct):
        return False
    return all(
        text and len(text) <= _LONGEST_LABEL and "\n" not in text and not is_json_value(text) for text in distinct
    )


def is_json_value(text: str) -> bool:
    """Return whether a text is a JSON object or list."""
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def find_labels(config: TaskConfig, references: Mapping[str, str]) -> tuple[str, ...]:
    """Return the labels of a task, sorted if they are found.

    Args:
        config: may name them.
        references: file:line -> the label that the row has.

    Raises:
        DataError: two labels are the same to `normalised`, or a row has one that is not named.
    """
    labels = config.labels or tuple(sorted({text.strip() for text in references.values()}))
    seen: dict[str, str] = {}
    for label in labels:
        if (plain := normalised(label)) in seen:
            what = f'the labels "{seen[plain]}" and "{label}" are one and the same to the reader of answers'
            raise DataError(what, where=f"task {config.name}", expected="labels that differ in letters or digits")
        seen[plain] = label
    for place, text in references.items():
        if normalised(text) not in seen:
            expected = f"one of the {len(labels)} labels of the task {config.name}"
            raise DataError(f'the label "{text.strip()}" is none', where=place, expected=expected)
    return labels
