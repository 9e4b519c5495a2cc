"""Which rows the page shows whole, which on one line, and which it only counts: it stays small for any rows."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from tunelab.evaluation.reports.page.harmless import escaped
from tunelab.evaluation.reports.report import ComparedRow, Outcome, Report, TaskReport
from tunelab.evaluation.reports.words import OUTCOMES
from tunelab.evaluation.rows.evaluated_row import WrittenAnswer
from tunelab.rendering.preview import shortened

_WHOLE_ROWS: dict[Outcome, int] = {"broken": 200, "wrong": 50, "fixed": 100, "right": 50}
_WHOLE_BYTES, _BRIEF_BYTES = 1_400_000, 1_200_000
"""Of the page's text and marks: it is to stay under 3 MB."""
_ROW_BYTES, _BRIEF_ROW_BYTES = 1_100, 200
"""What the page's elements add to a row, at most."""
_ASKED_CHARACTERS, _ANSWER_CHARACTERS, _PROMPT_CHARACTERS = 1_500, 3_000, 2_000
_BRIEF_CHARACTERS = 60
_MOST_FIELDS = 6
_MARKED_WORDS = 60
"""Between equal ends: finding differences takes time with more than the product of the lengths."""
_MARKED_FROM = 0.4
"""Below this similarity (0 to 1) nearly every word would be marked, which points at nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRow:
    """A row with both answers."""

    id: str
    classes: str
    outcome: str
    origin: Markup
    facts: Markup
    """Task and fields."""
    asked: Markup
    reference: Markup
    before: Markup
    after: Markup
    before_is_cut: bool
    after_is_cut: bool
    in_training: bool
    prompt: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class BriefRow:
    """A row on one line."""

    id: str
    classes: str
    outcome: str
    origin: Markup
    reference: Markup
    after: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFilter:
    """A slice by which rows can be chosen."""

    slice_field: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRows:
    """The rows of a page."""

    whole: tuple[ShownRow, ...]
    brief: tuple[BriefRow, ...]
    num_left_out: int
    counts: tuple[tuple[Outcome, str, int], ...]
    first: str
    """The outcome that is shown at first: broken rows, if there are any."""
    tasks: tuple[str, ...]
    """Names of tasks to choose by; none if there is only one."""
    slices: tuple[SliceFilter, ...]


def shown_rows(report: Report, rows: Sequence[ComparedRow], *, filters: Sequence[SliceFilter]) -> ShownRows:
    """Return what the page shows of rows, broken ones first."""
    order = list(OUTCOMES)
    ordered = sorted(rows, key=lambda row: order.index(row.outcome))
    tasks = _names(report.tasks)
    whole: list[ShownRow] = []
    others: list[ComparedRow] = []
    rest = dict(_WHOLE_ROWS)
    room = _WHOLE_BYTES
    for row in ordered:
        shown = _whole(row, tasks, filters) if rest[row.outcome] and room > 0 else None
        size = 0 if shown is None else _size(shown)
        if shown is None or size > room:
            others.append(row)
            continue
        whole.append(shown)
        rest[row.outcome] -= 1
        room -= size
    brief = list(_fitting((_brief(row, tasks, filters) for row in others), _BRIEF_BYTES))
    count = Counter(row.outcome for row in rows)
    return ShownRows(
        whole=tuple(whole),
        brief=tuple(brief),
        num_left_out=len(others) - len(brief),
        counts=tuple((outcome, words, count[outcome]) for outcome, words in OUTCOMES.items()),
        first=next((outcome for outcome in OUTCOMES if count[outcome]), "all"),
        tasks=tasks if len(tasks) > 1 else (),
        slices=tuple(filters),
    )


def mark_differences(answer: str, reference: str) -> Markup:
    """Return the escaped answer, the words by which it misses the reference in <mark>."""
    words, expected = (re.findall(r"\s+|\w+\s*|[^\w\s]\s*", text) for text in (answer, reference))
    bare, bare_expected = ([word.strip() for word in some] for some in (words, expected))
    if bare == bare_expected:
        return escaped(answer)
    start, end = _same_ends(bare, bare_expected)
    own, other = bare[start : len(bare) - end], bare_expected[start : len(expected) - end]
    if max(len(own), len(other)) > _MARKED_WORDS:
        return escaped(answer)
    blocks = difflib.SequenceMatcher(None, own, other, autojunk=False).get_matching_blocks()
    num_same = start + end + sum(block.size for block in blocks)
    if 2 * num_same < _MARKED_FROM * (len(words) + len(expected)):
        return escaped(answer)
    same = {*range(start), *range(len(words) - end, len(words))}
    same |= {start + place for block in blocks for place in range(block.a, block.a + block.size)}
    return _marked(words, same)


def _same_ends(first: Sequence[str], second: Sequence[str]) -> tuple[int, int]:
    """Return with how many equal words two texts begin, and with how many of the others they end."""
    shorter = min(len(first), len(second))
    start = next((place for place in range(shorter) if first[place] != second[place]), shorter)
    room = shorter - start
    return start, next((place for place in range(room) if first[-1 - place] != second[-1 - place]), room)


def _marked(words: Sequence[str], same: AbstractSet[int]) -> Markup:
    parts = []
    for is_same, some in groupby(range(len(words)), key=lambda place: place in same):
        text = escaped("".join(words[place] for place in some))
        parts.append(text if is_same else Markup("<mark>{}</mark>").format(text))
    return Markup("").join(parts)


def _whole(row: ComparedRow, tasks: Sequence[str], filters: Sequence[SliceFilter]) -> ShownRow:
    item, before, after = row.item, row.before.answer, row.after.answer
    fields = [f"{name}: {shortened(value, 60)}" for name, value in list(item.fields.items())[:_MOST_FIELDS]]
    return ShownRow(
        id=item.id,
        classes=_classes(row, tasks, filters),
        outcome=OUTCOMES[row.outcome],
        origin=escaped(shortened(item.origin, 300)),
        facts=escaped(shortened(" · ".join([*([item.task] if len(tasks) > 1 else []), *fields]), 600)),
        asked=escaped(shortened(item.asked, _ASKED_CHARACTERS)),
        reference=escaped(shortened(item.reference, _ANSWER_CHARACTERS)),
        before=_answer(before, item.reference),
        after=_answer(after, item.reference),
        before_is_cut=before is not None and not before.stopped,
        after_is_cut=after is not None and not after.stopped,
        in_training=row.after.in_training,
        prompt=escaped(shortened(item.prompt, _PROMPT_CHARACTERS)),
    )


def _answer(answer: WrittenAnswer | None, reference: str) -> Markup:
    if answer is None:
        return Markup("<em>(not asked)</em>")
    if not answer.text.strip():
        return Markup("<em>(no text)</em>")
    return mark_differences(shortened(answer.text, _ANSWER_CHARACTERS), shortened(reference, _ANSWER_CHARACTERS))


def _brief(row: ComparedRow, tasks: Sequence[str], filters: Sequence[SliceFilter]) -> BriefRow:
    answer = "" if row.after.answer is None else row.after.answer.text
    return BriefRow(
        id=row.item.id,
        classes=_classes(row, tasks, filters),
        outcome=OUTCOMES[row.outcome],
        origin=escaped(shortened(row.item.origin, _BRIEF_CHARACTERS)),
        reference=escaped(shortened(" ".join(row.item.reference[:1000].split()), _BRIEF_CHARACTERS)),
        after=escaped(shortened(" ".join(answer[:1000].split()), _BRIEF_CHARACTERS)),
    )


def _classes(row: ComparedRow, tasks: Sequence[str], filters: Sequence[SliceFilter]) -> str:
    """Return by what a row is filtered: its outcome, task and slices."""
    slices = [f"s{place}" for place, each in enumerate(filters) if row.item.fields.get(each.slice_field) == each.value]
    of_task = [f"t{tasks.index(row.item.task)}"] if len(tasks) > 1 else []
    return " ".join([row.outcome, *of_task, *slices])


def _names(tasks: Sequence[TaskReport]) -> tuple[str, ...]:
    return tuple(task.name for task in tasks)


def _size(row: ShownRow) -> int:
    texts = (row.origin, row.facts, row.asked, row.reference, row.before, row.after, row.prompt)
    return _ROW_BYTES + sum(len(text.encode()) for text in texts)


def _fitting(rows: Iterable[BriefRow], room: int) -> Iterable[BriefRow]:
    for row in rows:
        room -= _BRIEF_ROW_BYTES + sum(len(text.encode()) for text in (row.origin, row.reference, row.after))
        if room < 0:
            return
        yield row
