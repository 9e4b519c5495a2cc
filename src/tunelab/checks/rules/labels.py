"""Checks of how labels are spread: classes that are rare, that outweigh others, that only the held-out rows know."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.conversations.conversation import Conversation
from tunelab.conversations.fingerprints import trained_turns
from tunelab.errors import counted


@rule("label_imbalance", "label_distribution", "label_rare", "label_only_held_out", "label_missing")
def labels(context: CheckContext) -> Iterator[Finding]:
    """What is wrong with the labels of the rows; answers that are a handful of different ones are labels, too."""
    train, held_out = _labelled(context.dataset.train), _labelled(context.dataset.held_out)
    is_asked = any(item.label is not None for item in context.dataset.conversations)
    if not is_asked:
        train, held_out = _short_answers(context.dataset.train), _short_answers(context.dataset.held_out)
        if not _are_classes([label for _, label in train], len(context.dataset.train)):
            return
    else:
        yield from _missing(context)
    counts = Counter(label for _, label in train)
    yield from _spread(counts, len(train), is_asked=is_asked, limit=context.config.max_imbalance)
    yield from _rare(train, counts, context.config.min_label_rows)
    yield from _unknown(held_out, counts)


def _spread(counts: Counter[str], total: int, *, is_asked: bool, limit: float) -> Iterator[Finding]:
    if not counts:
        return
    (most, largest), (least, smallest) = counts.most_common()[0], counts.most_common()[-1]
    taken = "" if is_asked else "; the answers are few and were taken for labels"
    shares = [f"{_shown(label)} {100 * count / total:.1f} %" for label, count in counts.most_common(_NAMED)]
    more = [f"{len(counts) - _NAMED:,} more"] if len(counts) > _NAMED else []
    spread = ", ".join([*shares, *more])
    if largest > limit * smallest:
        yield Finding(
            code="label_imbalance",
            severity="warning",
            summary=f"{_shown(most)} labels {largest:,} of {counted(total, 'training row')}, {_shown(least)} in "
            f"{smallest:,}: {largest / smallest:.0f} times as many ({spread}{taken})",
            count=largest,
            total=total,
            why="A model that always answers with the commonest label is right most of the time.",
            remedy="Add rows of the rare labels or take fewer of the common ones (tunelab clean "
            "--max-per-class), and measure each label by itself (checks.max_imbalance says what is too much).",
        )
    elif is_asked:
        yield Finding(
            code="label_distribution",
            severity="note",
            summary=f"{counted(len(counts), 'label')} in {counted(total, 'training row')}: {spread}",
            count=len(counts),
            total=total,
            why="What the rows say often is what the model will say often.",
            remedy="Nothing needs to be done if the shares are those of the use that you have in mind.",
        )


def _rare(train: Sequence[tuple[Conversation, str]], counts: Counter[str], limit: int) -> Iterator[Finding]:
    rare = {label: count for label, count in counts.items() if count < limit}
    yield from found(
        list(rare),
        len(counts),
        "label",
        f"occur in fewer than {counted(limit, 'training row')}",
        code="label_rare",
        severity="warning",
        examples=[f"{item.origin}: {_shown(label)} ({rare[label]:,})" for label, item in _first(train, rare).items()],
        why="A class of a few rows is learnt by heart or not at all.",
        remedy="Add rows, join the label to another, or leave it out (checks.min_label_rows says how many are enough).",
    )


def _unknown(held_out: Sequence[tuple[Conversation, str]], counts: Counter[str]) -> Iterator[Finding]:
    known = Counter(label for _, label in held_out)
    unseen = [(item, label) for item, label in held_out if label not in counts]
    yield from found(
        list(dict.fromkeys(label for _, label in unseen)),
        len(known),
        "held-out label",
        "occur in no training row",
        code="label_only_held_out",
        severity="warning",
        examples=[f"{item.origin}: {_shown(label)}" for label, item in _first(unseen, known).items()],
        why="What was never trained is measured: these rows count as errors whatever the adapter learns.",
        remedy="Put rows of these labels among the training rows, or correct their spelling.",
    )


def _missing(context: CheckContext) -> Iterator[Finding]:
    yield from found(
        [item for item in context.dataset.conversations if not item.label],
        len(context.dataset.conversations),
        "row",
        "have no label",
        code="label_missing",
        severity="warning",
        why="They are trained on and counted nowhere.",
        remedy="Fill the label in, or correct data.label_field, data.label_json_key or data.label_pattern.",
    )


_NAMED = 6
_FEWEST_ROWS = 50
_LONGEST_LABEL = 40


def _labelled(items: Sequence[Conversation]) -> list[tuple[Conversation, str]]:
    return [(item, item.label) for item in items if item.label]


def _short_answers(items: Sequence[Conversation]) -> list[tuple[Conversation, str]]:
    """Return the last trained answers that are short enough for a label and not empty."""
    turns = ((item, trained_turns(item)) for item in items)
    last = ((item, (item.messages[trained[-1]].content or "").strip()) for item, trained in turns if trained)
    return [(item, " ".join(said.split())) for item, said in last if 0 < len(said) <= _LONGEST_LABEL]


def _are_classes(answers: Sequence[str], num_rows: int) -> bool:
    """Tell whether answers are labels: of 50 rows or more, next to all short, and ten times fewer different ones."""
    return num_rows >= _FEWEST_ROWS and len(answers) >= 0.98 * num_rows and 2 <= len(set(answers)) <= num_rows / 10


def _first(items: Sequence[tuple[Conversation, str]], counts: dict[str, int]) -> dict[str, Conversation]:
    return {label: item for item, label in reversed(items) if label in counts}


def _shown(label: str) -> str:
    return f'"{label if len(label) <= _LONGEST_LABEL else label[:_LONGEST_LABEL] + "…"}"'
