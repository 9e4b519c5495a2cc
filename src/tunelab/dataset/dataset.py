"""What check, train, compare and later rooms start from: the data of a recipe, read, cleaned, split and rendered."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.conversations.conversation import Conversation
from tunelab.conversations.unread import UnreadField
from tunelab.errors import DataError
from tunelab.rendering.rendered import Rendered, RenderedSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Both sides of the data, as conversations and as sequences."""

    train: Sequence[Conversation]
    held_out: Sequence[Conversation] = ()
    rendered_train: RenderedSet | None = None
    """None where nothing is rendered yet."""
    rendered_held_out: RenderedSet | None = None
    format: str = ""
    """Shape of the training rows, e.g. ``messages``."""
    evidence: str = ""
    """Why they were taken for that shape."""
    bad_rows: Sequence[DataError] = ()
    """Rows that could not be read as conversations; they are in none of the above."""
    unread: Sequence[UnreadField] = ()
    """What lies in the rows and is read by nobody."""
    bad_turns: Sequence[DataError] = ()
    """Answers that the chat template refused, or did not write as a continuation of their prompt; their rows are in
    `train` or `held_out`."""
    num_train_found: int | None = None
    """Training conversations in the files, before `train_samples` drew from them; None where nobody counted."""
    notes: Sequence[str] = ()
    """What was decided on the way, to be said aloud."""

    @property
    def conversations(self) -> list[Conversation]:
        """Both sides, training first."""
        return [*self.train, *self.held_out]

    @property
    def rendered_sets(self) -> list[RenderedSet]:
        """The sides that are rendered, training first."""
        return [side for side in (self.rendered_train, self.rendered_held_out) if side is not None]

    @property
    def train_sequences(self) -> tuple[Rendered, ...]:
        """What is trained."""
        return self.rendered_train.sequences if self.rendered_train else ()

    @property
    def held_out_sequences(self) -> tuple[Rendered, ...]:
        """What the held-out loss is measured on."""
        return self.rendered_held_out.sequences if self.rendered_held_out else ()

    @property
    def sequences(self) -> list[Rendered]:
        """The sequences of both sides, training first."""
        return [sequence for side in self.rendered_sets for sequence in side.sequences]

    @property
    def num_answers(self) -> int:
        """All answers to train on: the sequences, and what was cut away, dropped or refused by the template."""
        lost = [item for side in self.rendered_sets for item in side.dropped if item.turn >= 0]
        return len(self.sequences) + len(lost) + len(self.bad_turns)
