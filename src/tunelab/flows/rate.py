"""Rate: a person judges answers by the criteria of a judge, blind and in random order, and may stop at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tunelab.errors import RunError
from tunelab.evaluation.judging.asks import JudgedRow
from tunelab.evaluation.judging.line_file import LineFile
from tunelab.evaluation.judging.ratings import Rating, rating_of
from tunelab.evaluation.judging.rubric import DEFAULT_CRITERIA, Criterion, RubricConfig
from tunelab.files import sha256_text
from tunelab.flows.settings_file import read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingQuestion:
    """One criterion of one row, as a person sees it."""

    row: JudgedRow
    criterion: Criterion
    later_is_first: bool
    """Whether of two answers that of the later model is shown first."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The answers in the order in which they are shown."""
        if self.row.before is None:
            return (self.row.after.text,)
        both = (self.row.before.text, self.row.after.text)
        return both[::-1] if self.later_is_first else both

    def value_of(self, place: int) -> int:
        """Return the value for an answer's place: 0 if the first one is better, 1 if the second one is."""
        return 1 if (place == 0) == self.later_is_first else -1


class Sitting:
    """What a person still has to rate, and what was rated.

    Args:
        questions: all, in the order in which they are asked.
        rater: who rates.
        rated: what this person said before.
        append: keeps a rating.
    """

    def __init__(
        self, questions: Sequence[RatingQuestion], rater: str, rated: Sequence[Rating], append: Callable[[Rating], None]
    ) -> None:
        self._questions, self._rater, self._append = questions, rater, append
        done = {rating.about for rating in rated}
        self._open = [place for place, each in enumerate(questions) if self._record(each).about not in done]
        self._next = 0

    @property
    def num_questions(self) -> int:
        """Of all sittings together."""
        return len(self._questions)

    @property
    def num_rated(self) -> int:
        """Questions that were answered, now or before."""
        return len(self._questions) - len(self._open) + self._next

    @property
    def question(self) -> RatingQuestion | None:
        """The next one; None after the last."""
        return self._questions[self._open[self._next]] if self._next < len(self._open) else None

    def rate(self, value: int | None) -> None:
        """Keep the answer to the question; None says that it cannot be answered.

        Raises:
            StorageError: it cannot be kept.
        """
        question = self.question
        assert question is not None
        self._append(self._record(question, value))
        self._next += 1

    def back(self) -> bool:
        """Return to the question before, whose next answer counts; False if this sitting has none."""
        self._next -= (moved := self._next > 0)
        return moved

    def _record(self, question: RatingQuestion, value: int | None = None) -> Rating:
        return rating_of(question.row, question.criterion, rater=self._rater, value=value)


@contextmanager
def sitting(
    rows: Sequence[JudgedRow], criteria: Sequence[Criterion], *, rater: str, file: Path, num_rows: int
) -> Iterator[Sitting]:
    """Yield what a person is to rate; ratings are kept as they are given.

    Args:
        rows: in any order; rows with equal answers are left out.
        criteria: each is asked of each row.
        rater: who rates; the order of rows and answers follows from the name.
        file: of ratings.
        num_rows: at most this many rows are rated.

    Raises:
        RunError: there is nothing to rate, the file is damaged, or another sitting is open.
        StorageError: ratings cannot be kept.
    """
    questions = plan_questions(rows, criteria, rater=rater, num_rows=num_rows)
    if not questions:
        what = "all answers of both models are equal" if rows else "no row has an answer"
        raise RunError(f"there is nothing to rate: {what}", where=str(file.parent))
    lines = LineFile(file, Rating)
    with lines.appending() as append:
        yield Sitting(questions, rater, lines.read(), append)


def plan_questions(
    rows: Sequence[JudgedRow], criteria: Sequence[Criterion], *, rater: str, num_rows: int
) -> list[RatingQuestion]:
    """Return what a person is asked: rows in an order of their own, and of each row all criteria.

    The order is a hash of rater and item. So it says nothing of the models, and is the same in every sitting.
    """
    able = [row for row in rows if not row.is_equal]
    chosen = sorted(able, key=lambda row: _number(rater, row.item.id, "row"))[:num_rows]
    return [
        RatingQuestion(row=row, criterion=each, later_is_first=_number(rater, row.item.id, "order") % 2 == 1)
        for row in chosen
        for each in criteria
    ]


def read_rubric(file: Path | None) -> tuple[Criterion, ...]:
    """Return the criteria of a file; the five that come with tunelab without one.

    Raises:
        RecipeError: it cannot be read, or a criterion cannot be meant; it names the line.
    """
    return DEFAULT_CRITERIA if file is None else read_settings(file, RubricConfig, what="rubric").criteria


def _number(*words: str) -> int:
    return int(sha256_text("\0".join(words)), 16)
