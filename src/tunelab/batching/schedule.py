"""Which sequences meet in which optimizer step: a function of data, settings and seed, so a run resumes anywhere."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from math import ceil

import numpy as np

from tunelab.batching.config import BatchingConfig
from tunelab.rendering.rendered import Rendered

Batch = tuple[int, ...]
"""Indices of the sequences of one micro-batch, one filled row, or one example."""
Unit = Sequence[Batch]
"""Examples that stay together: those of one session, or one conversation alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One optimizer step."""

    epoch: float
    """Passes over the data finished when this step is done."""
    ends_epoch: bool
    batches: tuple[Batch, ...]


class Schedule:
    """The optimizer steps of a run, each of them computable without the ones before.

    Args:
        sequences: the training sequences.
        config: how they meet.
        batch_size: examples (conversations), or filled rows, in a micro-batch.
        accumulation: micro-batches in an optimizer step.
        max_length: tokens of a filled row.
        num_epochs: passes over the data; a fraction is allowed.
        num_steps: optimizer steps; overrules `num_epochs`.
        seed: of the order.
    """

    def __init__(
        self,
        sequences: Sequence[Rendered],
        config: BatchingConfig,
        *,
        batch_size: int,
        accumulation: int,
        max_length: int,
        num_epochs: float,
        num_steps: int | None,
        seed: int,
    ) -> None:
        self._sequences, self._config, self._seed = sequences, config, seed
        self._batch_size, self._accumulation, self._max_length = batch_size, accumulation, max_length
        self._epoch = lru_cache(maxsize=2)(self._plan_epoch)
        self._first_steps = [0]  # step index at which each epoch begins
        if num_steps is None:
            for epoch in range(ceil(num_epochs)):
                self._first_steps.append(self._first_steps[-1] + len(self._epoch(epoch)))
            last = self._first_steps[-1] - self._first_steps[-2]
            num_steps = self._first_steps[-2] + max(1, ceil(last * (num_epochs - (ceil(num_epochs) - 1))))
        self.total_steps = num_steps

    def step(self, index: int) -> Step:
        """Return the optimizer step with 0-based `index`."""
        while self._first_steps[-1] <= index:
            self._first_steps.append(self._first_steps[-1] + len(self._epoch(len(self._first_steps) - 1)))
        epoch = bisect_left(self._first_steps, index + 1) - 1
        steps, place = self._epoch(epoch), index - self._first_steps[epoch]
        return Step(epoch=epoch + (place + 1) / len(steps), ends_epoch=place + 1 == len(steps), batches=steps[place])

    def _plan_epoch(self, epoch: int) -> list[tuple[Batch, ...]]:
        generator = np.random.default_rng([self._seed, epoch])
        units = _units(self._sequences, self._config.order)
        batches = gather_batches(
            self._sequences,
            [units[place] for place in generator.permutation(len(units))],
            batch_size=self._batch_size,
            max_length=self._max_length,
            varied_seqlen=self._config.varied_seqlen,
        )
        return [
            tuple(batches[start : start + self._accumulation]) for start in range(0, len(batches), self._accumulation)
        ]


def evaluation_batches(
    sequences: Sequence[Rendered], config: BatchingConfig, *, batch_size: int, max_length: int
) -> list[Batch]:
    """Return held-out sequences in batches, in the order of the data."""
    units = _units(sequences, config.order)
    return gather_batches(
        sequences, units, batch_size=batch_size, max_length=max_length, varied_seqlen=config.varied_seqlen
    )


def gather_batches(
    sequences: Sequence[Rendered], units: Sequence[Unit], *, batch_size: int, max_length: int, varied_seqlen: bool
) -> list[Batch]:
    """Return micro-batches of `batch_size` examples, or of `batch_size` rows filled with whole sequences."""
    rows = (
        [example for unit in units for example in unit] if varied_seqlen else _fill_rows(sequences, units, max_length)
    )
    groups = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return [tuple(index for row in group for index in row) for group in groups]


def _units(sequences: Sequence[Rendered], order: str) -> list[Unit]:
    """Return what is shuffled as one: sessions of conversations (`grouped`), or single conversations."""
    examples = [tuple(indices) for _, indices in groupby(range(len(sequences)), key=partial(_example_of, sequences))]
    if order == "shuffled":
        return [[example] for example in examples]
    groups: dict[str, list[Batch]] = {}
    for example in examples:
        groups.setdefault(sequences[example[0]].group, []).append(example)
    return list(groups.values())


def _example_of(sequences: Sequence[Rendered], index: int) -> tuple[int, int]:
    """Return what is equal for sequences that count as one example: a conversation, or one piece of a plain text."""
    is_text = sequences[index].turn < 0
    return sequences[index].conversation, index if is_text else -1


def _fill_rows(sequences: Sequence[Rendered], units: Sequence[Unit], max_length: int) -> list[Batch]:
    """Return rows filled by best fit, the largest unit first, in the order of the units that opened them.

    An example goes to the fullest row that still holds it; one longer than a row goes by its sequences.
    """
    sizes = [sum(sequences[index].num_tokens for example in unit for index in example) for unit in units]
    rows: list[list[int]] = []
    openers: list[int] = []  # the unit that opened each row
    room: list[tuple[int, int]] = []  # (tokens left, row), sorted

    def place(indices: Batch, size: int, unit: int) -> None:
        at = bisect_left(room, (size, -1))
        if at < len(room):
            left, row = room.pop(at)
        else:
            left, row = max_length, len(rows)
            rows.append([])
            openers.append(unit)
        rows[row].extend(indices)
        insort(room, (left - size, row))

    for unit in sorted(range(len(units)), key=lambda place: -sizes[place]):
        for example in units[unit]:
            lengths = [sequences[index].num_tokens for index in example]
            if sum(lengths) <= max_length:
                place(example, sum(lengths), unit)
            else:
                for index, size in zip(example, lengths, strict=True):
                    place((index,), size, unit)
    return [tuple(rows[row]) for row in sorted(range(len(rows)), key=openers.__getitem__)]
