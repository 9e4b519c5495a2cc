"""Checks for rows that nearly repeat others: within the training rows, and from one side to the other."""

from collections.abc import Iterator, Sequence

from tunelab.checks.finding import Finding
from tunelab.checks.material import Material
from tunelab.checks.words import found
from tunelab.cleaning.near import near_duplicates, near_overlap
from tunelab.conversations.asked import answer_key, prompt_keys, questions, trained_turns
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.split import session_keys, session_link


def near_copies(material: Material) -> Iterator[Finding]:
    """Training rows that nearly repeat an earlier one, held-out rows that nearly ask what a training row asks."""
    train = _different(_whole_sessions(material.train))
    yield from _nearly_repeated(train, material)
    if material.held_out:
        yield from _nearly_overlapping(train, material)


COPY_CHECKS = (near_copies,)


def _nearly_repeated(items: Sequence[Conversation], material: Material) -> Iterator[Finding]:
    threshold = material.config.near_threshold
    near = near_duplicates([_words(item.messages, item.text) for item in items], threshold=threshold)
    many = len(near) > material.config.max_odd * len(material.train)
    yield from found(
        near,
        len(material.train),
        "training row",
        f"nearly repeat an earlier row (Jaccard similarity of {threshold:g} or more)",
        code="near_duplicates",
        severity="warning" if many else "note",
        examples=[f"{items[e.index].origin} is nearly {items[e.of].origin} ({e.similarity:.2f})" for e in near[:3]],
        why="What stands there in many wordings weighs more than you see, and is learnt by heart.",
        remedy="Keep one of each group, unless the weight is wanted; checks.near_threshold says what counts as near.",
    )


def _nearly_overlapping(train: Sequence[Conversation], material: Material) -> Iterator[Finding]:
    trained = {question for item in train for question in questions(item)}
    held_out = [item for item in material.held_out if questions(item)[-1] not in trained]
    threshold, allowed = material.config.near_threshold, material.config.max_overlap
    near = near_overlap(_asked_in(held_out), _asked_in(train), threshold=threshold)
    yield from found(
        near,
        len(material.held_out),
        "held-out row",
        f"ask nearly what a training row asks (Jaccard similarity of {threshold:g} or more)",
        code="near_overlap",
        severity="warning" if len(near) > allowed * len(material.held_out) else "note",
        examples=[f"{held_out[e.index].origin} is nearly {train[e.of].origin} ({e.similarity:.2f})" for e in near[:3]],
        why="Held-out loss then measures memory in part: the adapter looks better than it is on new questions.",
        remedy=f"Remove these rows from one side, or allow them (checks.max_overlap, now {allowed:g}).",
    )


def _different(items: Sequence[Conversation]) -> list[Conversation]:
    """Return the first of those that are equal word for word; its copies have a finding of their own."""
    first: dict[tuple[bytes, ...], Conversation] = {}
    for item in items:
        first.setdefault((*prompt_keys(item)[-1:], answer_key(item)), item)
    return list(first.values())


def _whole_sessions(items: Sequence[Conversation]) -> list[Conversation]:
    """Return the longest row of each session; rows of one session repeat each other by nature."""
    longest: dict[object, Conversation] = {}
    for key, item in zip(session_keys(map(session_link, items)), items, strict=True):
        if key not in longest or len(item.messages) >= len(longest[key].messages):
            longest[key] = item
    return list(longest.values())


def _asked_in(items: Sequence[Conversation]) -> list[str]:
    return [_words(item.messages[: (trained_turns(item) or [0])[-1]], item.text) for item in items]


def _words(messages: Sequence[Message], text: str | None) -> str:
    """Return what is said, without the system prompt that many rows share."""
    said = [text or ""]
    for message in messages:
        if message.role != "system":
            said += [message.content or "", *(f"{call.name} {call.arguments}" for call in message.tool_calls)]
    return "\n".join(said)
