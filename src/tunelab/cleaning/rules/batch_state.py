"""The rows of a batch while rules are applied: which are kept, which were refused and why."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from tunelab.cleaning.conversation_facts import ConversationFacts
from tunelab.cleaning.readers.batch import Batch, repeated
from tunelab.cleaning.rules.text_rules import TEXT

_LINE_BITS = 40


class BatchState:
    """The rows of a batch that no rule has refused yet."""

    def __init__(self, batch: Batch, name: str) -> None:
        self.batch, self.name = batch, name
        self._is_kept_N = np.ones(len(batch.lines), dtype=np.bool_)
        self.rows = pl.int_range(len(batch.lines), dtype=pl.UInt32, eager=True)
        self.text_fields = pl.DataFrame()
        self.said: dict[int, ConversationFacts] | None = None
        self.prompts = self.answers = pl.Series(dtype=pl.UInt64)
        self._refused: list[pl.DataFrame] = []

    def where(self, row: int) -> str:
        """Return ``file:line`` of a row."""
        return f"{self.name}:{self.batch.lines[row]}"

    def places(self) -> pl.Series:
        """Return file and line of the rows that are kept, as one number."""
        return (self.batch.lines.gather(self.rows) + (self.batch.file << _LINE_BITS)).cast(pl.UInt64)

    def texts(self, text_fields: pl.DataFrame) -> pl.DataFrame:
        """Return `row` and all its `text` together, of rows that are kept."""
        is_kept = pl.Series(self._is_kept_N[text_fields["row"].to_numpy()], dtype=pl.Boolean)
        prose = text_fields.filter(is_kept & text_fields["is_prose"] & text_fields["text"].is_not_null())
        return prose.sort("row", "text_field").group_by("row", maintain_order=True).agg(TEXT.str.join("\n"))

    def columns(self) -> list[str]:
        """Return the fields of a table's rows."""
        value = self.batch.values(self.rows[:1])
        return list(value[0]) if value and isinstance(value[0], dict) else []

    def of_said(self, pick: Callable[[ConversationFacts], int], name: str, fields: Sequence[str]) -> pl.Series:
        """Return a number for each row of the batch: of what it says, or of its `fields`; refused rows have 0."""
        if self.said is None:
            return self.batch.keys(fields).rename(name)
        numbers = [pick(self.said[row]) if row in self.said else 0 for row in range(len(self.batch.lines))]
        return pl.Series(name, numbers, dtype=pl.UInt64)

    def still(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return those of a frame whose `row` is kept."""
        is_kept_N = self._is_kept_N[frame["row"].to_numpy()]
        return frame if is_kept_N.all() else frame[np.flatnonzero(is_kept_N)]

    def refuse(
        self,
        rule: str,
        rows: Sequence[int] | pl.Series,
        reasons: str | Sequence[str] | pl.Series,
        details: pl.Series | None = None,
    ) -> None:
        """Refuse rows; those that were refused before stay refused for the first reason."""
        if not len(rows):
            return
        frame = pl.DataFrame(
            {
                "row": pl.Series(rows, dtype=pl.UInt32),
                "rule": repeated([rule], len(rows)),
                "reason": repeated([reasons], len(rows)) if isinstance(reasons, str) else reasons,
                "detail": repeated([""], len(rows)) if details is None else details,
            }
        )
        self._refused.append(self.still(frame))
        self._is_kept_N[frame["row"].to_numpy()] = False
        self.rows = pl.Series(np.flatnonzero(self._is_kept_N), dtype=pl.UInt32)

    def refuse_again(self, rule: str, again: pl.Series, reason: str, names: Sequence[str]) -> None:
        """Refuse the rows that are kept and for which `again` holds the place of an earlier one."""
        self.refuse(rule, self.rows.filter(again.is_not_null()), reason, _words_of(again.drop_nulls(), names))

    def refused(self) -> pl.DataFrame:
        """Return the refused rows in their order."""
        schema = {"row": pl.UInt32, "rule": pl.String, "reason": pl.String, "detail": pl.String}
        if not self._refused:
            return pl.DataFrame(schema=schema)
        frame = pl.concat(self._refused)
        return frame[np.argsort(frame["row"].to_numpy(), kind="stable")]


def _words_of(places: pl.Series, names: Sequence[str]) -> pl.Series:
    """Return ``file:line`` of places."""
    files, lines = places // (1 << _LINE_BITS), places % (1 << _LINE_BITS)
    return pl.Series(names, dtype=pl.String).gather(files) + ":" + lines.cast(pl.String)
