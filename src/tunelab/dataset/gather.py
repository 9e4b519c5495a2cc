"""From named files to a data set: the one way in which check, train and compare get their rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, chain, count
from pathlib import Path

from tokenizers import Tokenizer

from tunelab.cleaning.config import CleaningConfig
from tunelab.conversations import Conversation, Conversations, read_conversations, split_conversations
from tunelab.conversations.fingerprints import questions
from tunelab.conversations.unread import merged
from tunelab.dataset.cleaned import Rejected, clean_for, in_words, rejected_rows
from tunelab.dataset.config import DataConfig
from tunelab.dataset.dataset import Dataset
from tunelab.errors import DataError, counted
from tunelab.events import LEFT_OUT, SILENT, EventLog, Found, Planned, Progress
from tunelab.files import cache_folder
from tunelab.rendering.bulk.cache import render_cached
from tunelab.rendering.renderer import Renderer
from tunelab.sources import Row, SourceFile, locate_data, read_rows, refuse, sample
from tunelab.sources.text_stream import OnBad

_ROWS_PER_REPORT = 100
_REPORTED_BAD = 20

Look = Callable[[Sequence[Conversation]], None]
"""Looks at some conversations while the others are still read."""


def gather(
    data: DataConfig,
    *,
    base: Path,
    seed: int,
    renderer: Renderer,
    events: EventLog = SILENT,
    look: Look | None = None,
    rejected: Path | None = None,
    reserved: bool = False,
) -> Dataset:
    """Return the training and held-out data; what was rendered before comes from the user's cache folder.

    Args:
        data: its names lead to files from any folder, as in `ResolvedRecipe.anchored`.
        base: the recipe's folder.
        seed: of the split and of the samples, unless `data.split_seed` is.
        renderer: makes the token ids.
        events: where progress, what will be rendered and the first bad rows and turns that are left out are reported.
        look: given the conversations as they are read.
        rejected: where the rows are written that `data.cleaning` rejects; None counts and names them.
        reserved: take the held-out rows that `data.eval_reserved` keeps from every run instead of the others.

    Raises:
        DataError: files that are missing, empty or of no known shape; a bad row where they are refused.
    """
    seed = seed if data.split_seed is None else data.split_seed
    bad_rows, bad_turns = (_LeftOut(code, data, events) for code in LEFT_OUT)
    files = locate_data(data, base=base)
    notes = [*files.notes]
    events.emit(Planned(stage="reading", amounts={"files": len(files.train) + len(files.eval)}))
    numbers = count(1)
    other = None
    with rejected_rows(rejected if data.cleaning != CleaningConfig() else None) as reject:

        def read(side: Iterable[SourceFile], *, draws: bool) -> Conversations:
            rows = _reporting(read_rows(_named_from_here(side), on_bad=bad_rows), numbers, events)
            found, cleaned = read_side(
                rows,
                data,
                base=base,
                tokenizer=renderer.tokens.tokenizer,
                on_bad=bad_rows,
                draws=draws,
                look=look,
                rejected=reject,
            )
            notes.extend(cleaned)
            return found

        side = read(files.train, draws=True)
        if files.eval:
            other = read(files.eval, draws=False)
    notes += reject.in_words()
    if other is not None:
        train_found, held_out_found = side.items, other.items
        if other.format != side.format:
            notes.append(f"the held-out rows are of another format: {other.evidence}")
    else:
        train_found, held_out_found = split_conversations(side.items, fraction=data.eval_fraction, seed=seed)
        if held_out_found:
            notes.append(f"{counted(len(held_out_found), 'row')} of {len(side.items):,} held out")
    train = sample(train_found, data.train_samples, seed)
    notes += _sampled(len(train), len(train_found), "training")
    if not files.eval:
        held_out_found, left_out = _unseen(held_out_found, train)
        notes += left_out
    if data.eval_reserved:
        for_runs, kept = split_conversations(held_out_found, fraction=data.eval_reserved, seed=seed)
        notes.append(f"{len(kept):,} of {counted(len(held_out_found), 'held-out row')} reserved for a last figure")
        held_out_found = kept if reserved else for_runs
    held_out = sample(held_out_found, data.eval_samples, seed)
    notes += _sampled(len(held_out), len(held_out_found), "held-out")
    events.emit(Planned(stage="rendering", amounts={"rows": len(train) + len(held_out)}))
    folder = cache_folder("rendered")
    rendered = [
        render_cached(
            items,
            renderer,
            folder=folder,
            max_length=length,
            on_too_long=data.on_too_long,
            on_bad=bad_turns,
            on_done=_on_rendered(items, events),
        )
        for items, length in ((train, data.max_length), (held_out, data.eval_max_length))
    ]
    return Dataset(
        train=train,
        held_out=held_out,
        rendered_train=rendered[0],
        rendered_held_out=rendered[1],
        format=side.format,
        evidence=side.evidence,
        unread=merged(each.unread for each in (side, other) if each is not None),
        bad_rows=tuple(bad_rows.errors),
        bad_turns=tuple(bad_turns.errors),
        num_train_found=len(train_found),
        notes=tuple(notes),
    )


def read_side(
    rows: Iterator[Row],
    data: DataConfig,
    *,
    base: Path,
    tokenizer: Tokenizer,
    on_bad: OnBad = refuse,
    draws: bool = True,
    look: Look | None = None,
    rejected: Rejected | None = None,
) -> tuple[Conversations, list[str]]:
    """Return the conversations of the rows of one side, and what cleaning did to their rows, in words.

    There are none where no row can be read.

    Args:
        tokenizer: that of the base model, by which cleaning counts unless it names another.
        draws: False for held-out files, of which cleaning draws no samples and compares none with `exclude_files`.
        look: given the conversations as they are made.
        rejected: takes the rows that cleaning rejects; None lets them go.

    Raises:
        DataError: cleaning left no row, and what `read_conversations` raises.
    """
    notes: list[str] = []
    if data.cleaning != CleaningConfig():
        kept, report = clean_for(
            rows, data, base=base, draws=draws, rejected=rejected or Rejected(), tokenizer=tokenizer
        )
        notes = in_words(report)
        if report.num_read and not kept:
            where, remedy = "data.cleaning", "tunelab clean, with the same settings, keeps each row with its reason."
            raise DataError(f"no row is left ({'; '.join(notes)})", where=where, remedy=remedy)
        rows = iter(kept)
    first = next(rows, None)
    if first is None:
        return Conversations(items=(), format=data.format, evidence="no row can be read"), notes
    return read_conversations(chain([first], rows), data, base=base, on_bad=on_bad, look=look), notes


def _reporting(rows: Iterable[Row], numbers: Iterable[int], events: EventLog) -> Iterator[Row]:
    """Yield the rows, and report how many there were, by their `numbers`, now and then."""
    for row, number in zip(rows, numbers, strict=False):  # the numbers go on with the next side
        if number % _ROWS_PER_REPORT == 0:
            events.emit(Progress(stage="reading", done=number, total=0, unit="rows"))
        yield row


def _on_rendered(items: Sequence[Conversation], events: EventLog) -> Callable[[int], None]:
    """Return what reports how much text of some conversations is rendered."""
    sizes = (len(item.text or "") + sum(len(each.content or "") for each in item.messages) for item in items)
    done_of = [0, *accumulate(sizes)]
    return lambda done: events.emit(
        Progress(stage="rendering", done=done_of[done], total=done_of[-1], unit="characters", rows=done)
    )


def _named_from_here(files: Iterable[SourceFile]) -> list[SourceFile]:
    """Return the files under names that open from the current folder."""
    here = Path.cwd()
    return [
        replace(file, name=str(file.path.relative_to(here) if file.path.is_relative_to(here) else file.path))
        if file.path
        else file
        for file in files
    ]


def _unseen(
    held_out: Sequence[Conversation], train: Sequence[Conversation]
) -> tuple[tuple[Conversation, ...], list[str]]:
    """Return the held-out rows without contamination, and what to say of the others.

    A held-out row with the prompt of a training row would measure memory; rows that are twice in a file make some.
    """
    if not held_out:
        return (), []
    trained = {question for item in train for question in questions(item)}
    seen = [item for item in held_out if questions(item)[-1] in trained]
    left = f"{len(seen):,} of these {len(held_out):,} have the prompt of a training row (contamination)"
    left += " and were left out"
    unseen = tuple(item for item in held_out if questions(item)[-1] not in trained)
    return unseen, [f"{left} (the first: {seen[0].origin})"] if seen else []


def _sampled(taken: int, found: int, side: str) -> list[str]:
    return [f"{counted(taken, f'{side} row')} sampled from {found:,}"] if taken < found else []


class _LeftOut:
    """Refuses bad rows or turns, or keeps the errors of those that are left out and reports the first ones."""

    def __init__(self, code: str, data: DataConfig, events: EventLog) -> None:
        self.errors: list[DataError] = []
        self._code, self._is_refused, self._events = code, data.bad_rows == "refuse", events

    def __call__(self, error: DataError) -> None:
        if self._is_refused:
            raise error
        self.errors.append(error)
        if len(self.errors) <= _REPORTED_BAD:
            text = str(error).removeprefix(f"{error.where}: ")
            self._events.emit(Found(code=self._code, severity="warning", place=error.where, text=text))
