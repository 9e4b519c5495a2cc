"""What cleaning did: rows in and out, counted per rule, with examples."""

from dataclasses import dataclass

EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCount:
    """What one rule did."""

    rule: str
    """The setting it comes from; `unreadable` and `no_conversation` are always on."""
    count: int
    """Rows."""
    examples: tuple[str, ...]
    """Up to three: file, line, and what was seen there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanReport:
    """Rows in and out. Every row that was read is kept, rejected, or not sampled."""

    num_read: int
    num_kept: int
    num_rejected: int
    num_not_sampled: int
    num_train: int
    num_test: int
    """Kept rows, by file; all are training rows if nothing is split off."""
    rejected: tuple[RuleCount, ...]
    """In the order of the rules."""
    not_sampled: tuple[RuleCount, ...]
    changed: tuple[RuleCount, ...]
    """Rows that a rule changed; they are kept, or rejected by a later rule."""
    reported: tuple[RuleCount, ...]
    """Rows in which something was found that is to be reported and nothing else."""
    unlabelled: tuple[RuleCount, ...]
    """Rows without a label, before any was sampled: the class "" among the others. `rule` is the setting that finds
    labels, or `answer`."""
    classes: dict[str, tuple[int, int]]
    """Class -> its training rows and its test rows; empty if no class was read."""
    format: str
    """The shape of conversation that was found; empty for tables."""
    notes: tuple[str, ...]
    """What was decided on the way, to be said aloud."""
    compared: str = ""
    """With what test rows the rows were compared, and how many were rejected for it; empty if there are none."""
    lacks: str = ""
    """What no row was left for: the output, or a file of a split. Empty if all is well."""


class Tally:
    """Counts per rule, in the order in which rules first appear, with the first examples."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def add(self, rule: str, count: int, examples: list[str]) -> None:
        """Count rows of a rule; of `examples` the first few are kept."""
        if count:
            self._counts[rule] = self._counts.get(rule, 0) + count
            held = self._examples.setdefault(rule, [])
            held += examples[: EXAMPLES - len(held)]

    def room_for(self, rule: str) -> int:
        """Return how many more examples of a rule are kept."""
        return EXAMPLES - len(self._examples.get(rule, ()))

    def count(self, rule: str) -> int:
        """Return how many rows of a rule were counted."""
        return self._counts.get(rule, 0)

    @property
    def total(self) -> int:
        """All that was counted."""
        return sum(self._counts.values())

    def counts(self, order: tuple[str, ...]) -> tuple[RuleCount, ...]:
        """Return the counts, by the order of rules."""
        known = sorted(self._counts, key=lambda rule: order.index(rule) if rule in order else len(order))
        return tuple(
            RuleCount(rule=rule, count=self._counts[rule], examples=tuple(self._examples[rule])) for rule in known
        )
