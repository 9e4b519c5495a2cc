"""From named files to a data set: the one way in which check, train and compare get their rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, chain
from pathlib import Path

from tunelab.cleaning.config import CleaningConfig
from tunelab.conversations import Conversation, Conversations, read_conversations, split_conversations
from tunelab.conversations.fingerprints import questions
from tunelab.dataset.cleaned import Rejected, clean_for, in_words, rejected_rows
from tunelab.dataset.config import DataConfig
from tunelab.dataset.dataset import Dataset
from tunelab.errors import DataError, counted
from tunelab.files import cache_folder
from tunelab.rendering.bulk.cache import render_cached
from tunelab.rendering.renderer import Renderer
from tunelab.sources import Row, SourceFile, locate_data, read_rows, refuse, sample
from tunelab.sources.text_stream import OnBad

_TOLD_ROWS = 100


OnProgress = Callable[[str, int, int, int], None]
"""Told what is being done, the bytes of text done and in all (0 where nobody knows), and the rows done."""


OnRead = Callable[[Conversation], None]


def nobody(conversation: Conversation) -> None:
    """Nobody wants to be told."""


def gather(
    data: DataConfig,
    *,
    base: Path,
    seed: int,
    renderer: Renderer,
    on_bad: OnBad | None = None,
    on_progress: OnProgress | None = None,
    on_read: OnRead = nobody,
    rejected: Path | None = None,
) -> Dataset:
    """Return the training and held-out data; what was rendered before comes from the user's cache folder.

    Args:
        data: its names lead to files from any folder, as in `ResolvedRecipe.anchored`.
        base: the recipe's folder.
        seed: of the split and of the samples.
        renderer: makes the token ids.
        on_bad: receives the error of each bad row and turn, and work goes on; None does what `data.bad_rows` says.
        on_progress: told how far reading and rendering have come.
        on_read: told of each conversation as it is read.
        rejected: where the rows are written that `data.cleaning` rejects; None counts and names them.

    Raises:
        DataError: files that are missing, empty or of no known shape; a bad row where they are refused.
    """
    answer = on_bad or (refuse if data.bad_rows == "refuse" else _go_on)
    bad_rows, bad_turns = _Counted(answer), _Counted(answer)
    files = locate_data(data, base=base)
    notes = [*files.notes]
    on_row = _counting_rows(on_progress)
    other = None
    with rejected_rows(rejected if data.cleaning != CleaningConfig() else None) as reject:
        read = partial(
            read_side, data=data, base=base, on_bad=bad_rows, on_row=on_row, on_read=on_read, rejected=reject
        )
        side, cleaned = read(_named_from_here(files.train))
        notes += cleaned
        if files.eval:
            other, cleaned = read(_named_from_here(files.eval), draws=False)
            notes += cleaned
    notes += reject.in_words()
    if other is not None:
        train_found, held_out_found = side.items, other.items
        if other.format != side.format:
            notes.append(f"the held-out rows are of another shape: {other.evidence}")
    else:
        train_found, held_out_found = split_conversations(side.items, fraction=data.eval_fraction, seed=seed)
        if held_out_found:
            notes.append(f"{counted(len(held_out_found), 'row')} of {len(side.items):,} held out")
    train = sample(train_found, data.train_samples, seed)
    notes += _drawn(len(train), len(train_found), "training")
    if not files.eval:
        held_out_found, left_out = _unseen(held_out_found, train)
        notes += left_out
    held_out = sample(held_out_found, data.eval_samples, seed)
    notes += _drawn(len(held_out), len(held_out_found), "held-out")
    folder = cache_folder("rendered")
    longest = data.eval_max_length or data.max_length
    rendered = [
        render_cached(
            items,
            renderer,
            folder=folder,
            max_length=length,
            on_too_long=data.on_too_long,
            on_bad=bad_turns,
            on_done=_telling(on_progress, items),
        )
        for items, length in ((train, data.max_length), (held_out, longest))
    ]
    return Dataset(
        train=train,
        held_out=held_out,
        rendered_train=rendered[0],
        rendered_held_out=rendered[1],
        format=side.format,
        evidence=side.evidence,
        bad_rows=tuple(bad_rows.errors),
        bad_turns=tuple(bad_turns.errors),
        num_train_found=len(train_found),
        notes=tuple(notes),
    )


def read_side(
    files: Iterable[SourceFile],
    data: DataConfig,
    *,
    base: Path,
    on_bad: OnBad = refuse,
    draws: bool = True,
    on_row: Callable[[], None] = lambda: None,
    on_read: OnRead = nobody,
    rejected: Rejected | None = None,
) -> tuple[Conversations, list[str]]:
    """Return the conversations of some files, and what cleaning did to their rows, in words.

    There are none where `on_bad` lets reading go on and no row can be read.

    Args:
        draws: False for held-out files, of which cleaning draws no samples and compares none with `exclude_files`.
        on_row: called for each row that is read.
        on_read: told of each conversation.
        rejected: takes the rows that cleaning rejects; None lets them go.

    Raises:
        DataError: cleaning left no row, and what `read_conversations` raises.
    """
    rows = _told_of(read_rows(files, on_bad=on_bad), on_row)
    notes: list[str] = []
    if data.cleaning != CleaningConfig():
        stand, report = clean_for(rows, data, base=base, draws=draws, rejected=rejected or Rejected())
        notes = in_words(report)
        if report.num_read and not stand:
            where, remedy = "data.cleaning", "tunelab clean, with the same settings, keeps each row with its reason."
            raise DataError(f"no row is left ({'; '.join(notes)})", where=where, remedy=remedy)
        rows = iter(stand)
    first = next(rows, None)
    if first is None:
        return Conversations(items=(), format=data.format, evidence="no row can be read"), notes
    return read_conversations(chain([first], rows), data, base=base, on_bad=on_bad, on_read=on_read), notes


def _told_of(rows: Iterator[Row], on_row: Callable[[], None]) -> Iterator[Row]:
    for row in rows:
        on_row()
        yield row


def _counting_rows(on_progress: OnProgress | None) -> Callable[[], None]:
    """Return what counts the rows of all files and tells of them now and then."""
    count = 0

    def on_row() -> None:
        nonlocal count
        count += 1
        if on_progress is not None and count % _TOLD_ROWS == 0:
            on_progress("reading", 0, 0, count)

    return on_row


def _telling(on_progress: OnProgress | None, items: Sequence[Conversation]) -> Callable[[int], None]:
    """Return what tells how much text of some conversations is rendered."""
    if on_progress is None:
        return lambda done: None
    sizes = (len(item.text or "") + sum(len(each.content or "") for each in item.messages) for item in items)
    done_of = [0, *accumulate(sizes)]
    return lambda done: on_progress("rendering", done_of[done], done_of[-1], done)


def _named_from_here(files: Iterable[SourceFile]) -> list[SourceFile]:
    """Return the files under names that open from the current folder."""
    here = Path.cwd()
    return [
        replace(file, name=str(file.path.relative_to(here) if file.path.is_relative_to(here) else file.path))
        if file.path
        else file
        for file in files
    ]


def _unseen(drawn: Sequence[Conversation], train: Sequence[Conversation]) -> tuple[tuple[Conversation, ...], list[str]]:
    """Return the rows that ask what no training row asks, and what to say of the others.

    A held-out row that asks what a training row asks would measure memory; rows that stand twice in a file make some.
    """
    if not drawn:
        return (), []
    trained = {question for item in train for question in questions(item)}
    seen = [item for item in drawn if questions(item)[-1] in trained]
    left = f"{len(seen):,} of these {len(drawn):,} ask what a training row asks and were left out"
    unseen = tuple(item for item in drawn if questions(item)[-1] not in trained)
    return unseen, [f"{left} (the first: {seen[0].origin})"] if seen else []


def _drawn(taken: int, found: int, side: str) -> list[str]:
    return [f"{counted(taken, f'{side} row')} drawn out of {found:,}"] if taken < found else []


class _Counted:
    """Keeps each error before it is answered."""

    def __init__(self, answer: OnBad) -> None:
        self.errors: list[DataError] = []
        self._answer = answer

    def __call__(self, error: DataError) -> None:
        self.errors.append(error)
        self._answer(error)


def _go_on(error: DataError) -> None:
    """Leave a bad row out; it is counted all the same."""
