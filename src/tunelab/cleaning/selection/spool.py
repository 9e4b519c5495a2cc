"""The spool: rows held for a decision which needs them all, in memory if few can be sampled, else in files."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

_SPARE = 50_000
NOTE = "\0"
"""What the names of noted columns begin with, so that no field of a row is taken for one."""


class Spool:
    """Rows with what is noted of them.

    Args:
        folder: where rows are written to; None keeps them in memory.
        most: for rows in memory, how many are sampled by priority alone, so that others can go; None keeps all.
    """

    def __init__(self, folder: Path | None, most: int | None) -> None:
        self._folder, self._most = folder, most
        self._held: list[pl.DataFrame | Path] = []
        self._notes: list[pl.DataFrame] = []
        self._starts: list[int] = []
        self._count = 0
        self._limit: int | None = None

    def admitted(self, notes: pl.DataFrame) -> pl.Series:
        """Return which of some rows may still be sampled."""
        if self._limit is None:
            return pl.repeat(True, notes.height, dtype=pl.Boolean, eager=True)
        return notes["priority"] <= self._limit

    def add(self, rows: pl.DataFrame, notes: pl.DataFrame) -> pl.DataFrame:
        """Take in rows and their notes, in order; return the notes of rows that went for good."""
        frame = rows.hstack([notes[name].alias(f"{NOTE}{name}") for name in notes.columns])
        if self._limit is not None:
            frame = _compact(frame)
        self._starts.append(self._count)
        self._count += frame.height
        self._notes.append(notes.select(pl.exclude("text", "original")))
        if self._folder is None:
            self._held.append(frame)
        else:
            path = self._folder / f"spool.{len(self._held)}.arrow"
            frame.write_ipc(path)
            self._held.append(path)
        if self._most is not None and self._count > 2 * self._most + _SPARE:
            return self._thinned()
        return notes.clear()

    @property
    def ledger(self) -> pl.DataFrame:
        """The notes of all rows in the spool, without their texts and without what those were."""
        if not self._notes:
            return pl.DataFrame(schema={"index": pl.UInt64, "file": pl.UInt16, "line": pl.UInt64})
        return pl.concat(self._notes)

    def chunks(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Yield (rows, notes) as they were added."""
        for held in self._held:
            frame = _opened(held)
            noted = [name for name in frame.columns if name.startswith(NOTE)]
            notes = frame.select(noted).rename({name: name.removeprefix(NOTE) for name in noted})
            yield frame.drop(noted), notes

    def texts_of(self, positions: Sequence[int]) -> list[str]:
        """Return the texts of some rows, by their place in the ledger."""
        by_chunk: dict[int, list[int]] = {}
        for position in positions:
            by_chunk.setdefault(bisect_right(self._starts, position) - 1, []).append(position)
        found = {}
        for chunk, inside in by_chunk.items():
            held = self._held[chunk]
            name = f"{NOTE}text"
            texts = held[name] if isinstance(held, pl.DataFrame) else pl.read_ipc(held, columns=[name])[name]
            for position in inside:
                found[position] = texts[position - self._starts[chunk]] or ""
        return [found[position] for position in positions]

    def _thinned(self) -> pl.DataFrame:
        """Let go of the rows that cannot be sampled any more; return their notes."""
        assert self._most is not None
        ledger = self.ledger
        self._limit = ledger["priority"].bottom_k(self._most).max()  # type: ignore[assignment]
        stays = pl.col("priority") <= self._limit
        self._held = [_compact(_opened(held).filter(pl.col(f"{NOTE}priority") <= self._limit)) for held in self._held]
        self._notes = [notes.filter(stays) for notes in self._notes]
        self._starts = [0]
        for notes in self._notes[:-1]:
            self._starts.append(self._starts[-1] + notes.height)
        self._count = sum(notes.height for notes in self._notes)
        return ledger.filter(~stays)


def _compact(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a copy whose texts hold no buffer of the rows that were left out."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    return frame.with_columns([pl.Series(name, frame[name].to_list(), dtype=pl.String) for name in texts])


def _opened(held: pl.DataFrame | Path) -> pl.DataFrame:
    return held if isinstance(held, pl.DataFrame) else pl.read_ipc(held)
