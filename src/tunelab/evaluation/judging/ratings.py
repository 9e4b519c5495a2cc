"""What people say of the same answers by the same criteria, as it is on disk."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

import msgspec

from tunelab.evaluation.judging.asks import JudgedRow, text_hash
from tunelab.evaluation.judging.rubric import Criterion, criterion_hash

RATINGS_FILE = "ratings.jsonl"
"""In the folder of a model's evaluation."""


class Rating(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer of one person. Of two to the same question, the later one counts."""

    rater: str
    item: str
    criterion: str
    wording: str
    """Hash of the criterion's question and scale."""
    answers: tuple[str, ...]
    """Hashes of the earlier model's answer, if both were shown, and of the later one's."""
    value: int | None = None
    """1 if the later model's answer is better, -1 the earlier one's, 0 neither; or the rating; None: cannot say."""

    @property
    def about(self) -> tuple[object, ...]:
        """What it answers."""
        return self.rater, self.item, self.criterion, self.wording, self.answers


def rating_of(row: JudgedRow, criterion: Criterion, *, rater: str, value: int | None = None) -> Rating:
    """Return the record of what a person says of a row: of both answers if it has both, else of the later model's."""
    texts = [row.after.text] if row.before is None else [row.before.text, row.after.text]
    return Rating(
        rater=rater,
        item=row.item.id,
        criterion=criterion.name,
        wording=criterion_hash(criterion),
        answers=tuple(map(text_hash, texts)),
        value=value,
    )


def human_values(rows: Sequence[JudgedRow], criterion: Criterion, ratings: Sequence[Rating]) -> dict[str, int]:
    """Return by item what people say of a criterion; of several people, the lower median."""
    last = {rating.about: rating for rating in ratings}
    by_item: dict[str, list[int]] = {}
    current = {rating_of(row, criterion, rater="").about for row in rows}
    for rating in last.values():
        if rating.value is not None and ("", *rating.about[1:]) in current:
            by_item.setdefault(rating.item, []).append(rating.value)
    return {item: median_low(values) for item, values in by_item.items()}
