"""From a recipe to conversations and rendered sequences: the one way in which check, train and compare get data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tunelab.checks.material import questions
from tunelab.conversations import Conversation, Conversations, read_conversations, split_conversations
from tunelab.errors import DataError
from tunelab.recipes import DataConfig, ResolvedRecipe
from tunelab.rendering.cache import cache_folder, render_cached
from tunelab.rendering.rendered import RenderedSet
from tunelab.rendering.renderer import Renderer
from tunelab.sources import SourceFile, locate_data, read_rows, refuse, sample
from tunelab.sources.opening import OnBad


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The data of a recipe, read and rendered."""

    train: tuple[Conversation, ...]
    held_out: tuple[Conversation, ...]
    rendered_train: RenderedSet
    rendered_held_out: RenderedSet
    format: str
    """Shape of the training rows, e.g. ``messages``."""
    evidence: str
    """Why it was taken for that shape."""
    bad_rows: tuple[DataError, ...]
    """Rows that could not be read; they are in none of the above."""
    bad_turns: tuple[DataError, ...]
    """Answers that could not be rendered; their rows are in `train` or `held_out`."""
    num_train_found: int
    """Training conversations before `train_samples` drew from them."""
    notes: tuple[str, ...]
    """What was decided on the way, to be said aloud."""


def gather(resolved: ResolvedRecipe, *, renderer: Renderer, on_bad: OnBad | None = None) -> Gathered:
    """Return the training and held-out data of a recipe; what was rendered before comes from the user's cache folder.

    Args:
        renderer: makes the token ids.
        on_bad: receives the error of each bad row and turn, and work goes on; None does what `data.bad_rows` says.

    Raises:
        DataError: files that are missing, empty or of no known shape; a bad row where they are refused.
    """
    recipe, base = resolved.anchored, resolved.base
    data, seed = recipe.data, recipe.training.seed
    answer = on_bad or (refuse if data.bad_rows == "refuse" else _go_on)
    bad_rows, bad_turns = _Counted(answer), _Counted(answer)
    files = locate_data(data, base=base)
    notes = [*files.notes]
    side = read_side(files.train, data, base=base, on_bad=bad_rows)
    train = sample(side.items, data.train_samples, seed)
    notes += _drawn(len(train), len(side.items), "training")
    if files.eval:
        other = read_side(files.eval, data, base=base, on_bad=bad_rows)
        held_out = sample(other.items, data.eval_samples, seed)
        notes += _drawn(len(held_out), len(other.items), "held-out")
        if other.format != side.format:
            notes.append(f"the held-out rows are of another shape: {other.evidence}")
    else:
        train, held_out, split_notes = _hold_out(train, data.eval_fraction, data.eval_samples, seed)
        notes += split_notes
    folder = cache_folder()
    longest = data.eval_max_length or data.max_length
    rendered = [
        render_cached(items, renderer, folder=folder, max_length=length, on_too_long=data.on_too_long, on_bad=bad_turns)
        for items, length in ((train, data.max_length), (held_out, longest))
    ]
    return Gathered(
        train=train,
        held_out=held_out,
        rendered_train=rendered[0],
        rendered_held_out=rendered[1],
        format=side.format,
        evidence=side.evidence,
        bad_rows=tuple(bad_rows.errors),
        bad_turns=tuple(bad_turns.errors),
        num_train_found=len(side.items),
        notes=tuple(notes),
    )


def read_side(files: Iterable[SourceFile], data: DataConfig, *, base: Path, on_bad: OnBad = refuse) -> Conversations:
    """Return the conversations of some files; none where `on_bad` lets reading go on and no row can be read."""
    rows = read_rows(files, on_bad=on_bad)
    first = next(rows, None)
    if first is None:
        return Conversations(items=(), format=data.format, evidence="no row can be read")
    return read_conversations(chain([first], rows), data, base=base, on_bad=on_bad)


def _hold_out(
    items: Sequence[Conversation], fraction: float, limit: int | None, seed: int
) -> tuple[tuple[Conversation, ...], tuple[Conversation, ...], list[str]]:
    """Return training side, held-out side, and what to say about the split.

    A held-out row that asks what a training row asks would measure memory; rows that stand twice in a file make some.
    """
    train, drawn = split_conversations(items, fraction=fraction, seed=seed)
    trained = {question for item in train for question in questions(item)}
    unseen = [item for item in drawn if questions(item)[-1] not in trained]
    notes = [f"{len(drawn):,} rows of {len(items):,} held out"] if drawn else []
    if len(unseen) < len(drawn):
        example = next(str(item.origin) for item in drawn if questions(item)[-1] in trained)
        left = f"{len(drawn) - len(unseen):,} of these {len(drawn):,}"
        notes.append(f"{left} ask what a training row asks and were left out (the first: {example})")
    held_out = sample(unseen, limit, seed)
    return train, held_out, [*notes, *_drawn(len(held_out), len(unseen), "held-out")]


def _drawn(taken: int, found: int, side: str) -> list[str]:
    return [f"{taken:,} {side} rows drawn out of {found:,}"] if taken < found else []


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
