"""Figures by groups of rows: slices in which something changed, and groups that should be served alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from tunelab.evaluation.figures.changes import changes_of
from tunelab.evaluation.figures.figure import Figure
from tunelab.evaluation.label_calibration import choices_of
from tunelab.evaluation.reports.report import SliceCalibration, SliceChange
from tunelab.evaluation.rows.evaluated_row import EvaluatedRow
from tunelab.evaluation.statistics.calibration import calibration_error
from tunelab.evaluation.statistics.gaps import FEWEST_ROWS, Gap, gap
from tunelab.evaluation.statistics.groups import FEWEST_GROUPS
from tunelab.evaluation.statistics.several import benjamini_hochberg

LANGUAGE = "language"
"""The field by which gaps are always measured."""
_LEVEL = 0.05
_MOST_VALUES = 40
"""A field with more values is no slice: an id, a text."""


def slices_of(rows: Sequence[EvaluatedRow]) -> Mapping[tuple[str, str], Sequence[int]]:
    """Return field and value -> places of the rows that have it, of fields that part the rows."""
    slices: dict[tuple[str, str], list[int]] = {}
    for place, row in enumerate(rows):
        for name, value in row.item.fields.items():
            slices.setdefault((name, value), []).append(place)
    names = [name for name, _ in slices]
    return {key: places for key, places in slices.items() if 2 <= names.count(key[0]) <= _MOST_VALUES}


def slice_changes(
    figure: Figure[EvaluatedRow], before: Sequence[EvaluatedRow], after: Sequence[EvaluatedRow], *, seed: int
) -> tuple[SliceChange, ...]:
    """Return how a figure changed on each slice; one of fewer than ten groups is named, without an interval."""
    found = []
    for key, places in slices_of(after).items():
        own = [before[place] for place in places], [after[place] for place in places]
        (change,) = changes_of([figure], *own, seed=seed)
        if change.after.num_groups < FEWEST_GROUPS:
            change = replace(change, interval=None, p=None)
        if change.after.num_rows:
            found.append((key, change))
    adjusted = _adjusted([change.p for _, change in found])
    return tuple(
        SliceChange(slice_field=name, value=value, change=change, is_worth_a_look=p <= _LEVEL)
        for ((name, value), change), p in zip(found, adjusted, strict=True)
    )


def calibration_by_slice(
    rows: Sequence[EvaluatedRow], labels: Sequence[str], *, seed: int
) -> tuple[SliceCalibration, ...]:
    """Return the calibration error of each slice in which ten rows or more have their labels scored."""
    found = []
    for key, places in slices_of(rows).items():
        choices = choices_of([rows[place] for place in places], labels)
        if choices is not None and len(choices.confidence_N) >= FEWEST_ROWS:
            error = calibration_error(choices.confidence_N.tolist(), choices.is_right_N.tolist(), seed=seed)
            assert error is not None  # there are rows
            found.append((key, len(choices.confidence_N), error))
    adjusted = _adjusted([error.p for _, _, error in found])
    return tuple(
        SliceCalibration(slice_field=name, value=value, num_rows=num_rows, error=error, is_worth_a_look=p <= _LEVEL)
        for ((name, value), num_rows, error), p in zip(found, adjusted, strict=True)
    )


def gaps_of(
    rows: Sequence[EvaluatedRow], fields: Sequence[str], is_right: Callable[[EvaluatedRow], bool | None], *, seed: int
) -> dict[str, Gap]:
    """Return field -> the gap between its groups, of fields with two groups or more of ten rows that were judged."""
    judged = [(row, right) for row in rows if (right := is_right(row)) is not None]
    return dict(_gaps(judged, fields, seed=seed))


def _gaps(
    judged: Sequence[tuple[EvaluatedRow, bool]], fields: Sequence[str], *, seed: int
) -> Iterator[tuple[str, Gap]]:
    for name in dict.fromkeys(fields):
        some = [(row, right) for row, right in judged if name in row.item.fields]
        values = [row.item.fields[name] for row, _ in some]
        if len(set(values)) > _MOST_VALUES:
            continue
        found = gap([right for _, right in some], values, [row.item.group for row, _ in some], seed=seed)
        if found is not None:
            yield name, found


def _adjusted(p_values: Sequence[float | None]) -> list[float]:
    """Return p values adjusted by Benjamini and Hochberg; 1 where there is none."""
    judged = [place for place, p in enumerate(p_values) if p is not None]
    adjusted = dict(zip(judged, benjamini_hochberg([p for p in p_values if p is not None]), strict=True))
    return [adjusted.get(place, 1.0) for place in range(len(p_values))]
