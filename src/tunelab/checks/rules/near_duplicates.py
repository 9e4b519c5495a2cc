"""Checks for rows that nearly repeat others: within the training rows, and between held-out and training rows."""

from collections.abc import Iterator, Sequence

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.fingerprints import trained_turns
from tunelab.conversations.split import session_keys, session_link
from tunelab.texts.near_duplicates import near_duplicates, near_overlap


@rule("near_duplicates", "near_overlap")
def near_copies(context: CheckContext) -> Iterator[Finding]:
    """Training rows that nearly repeat an earlier one, held-out rows with nearly the same prompt as a training row."""
    train = _different(_whole_sessions(context.dataset.train))
    yield from _nearly_repeated(train, context)
    if context.dataset.held_out:
        yield from _nearly_overlapping(train, context)


def _nearly_repeated(items: Sequence[Conversation], context: CheckContext) -> Iterator[Finding]:
    threshold = context.config.near_threshold
    near = near_duplicates([_words(item.messages, item.text) for item in items], threshold=threshold)
    many = len(near) > context.config.max_odd * len(context.dataset.train)
    yield from found(
        near,
        len(context.dataset.train),
        "training row",
        f"nearly repeat an earlier row (Jaccard similarity of {threshold:g} or more)",
        code="near_duplicates",
        severity="warning" if many else "note",
        examples=[f"{items[e.index].origin} is nearly {items[e.of].origin} ({e.similarity:.2f})" for e in near[:3]],
        why="What is said in many wordings weighs more than you see, and is memorised.",
        remedy=f"Keep one of each group (tunelab clean --near-duplicates {threshold:g}), unless it is intended; "
        "checks.near_threshold says what counts as near.",
    )


def _nearly_overlapping(train: Sequence[Conversation], context: CheckContext) -> Iterator[Finding]:
    trained = {_key(_prompt(item), item.text) for item in train}
    held_out = [item for item in context.dataset.held_out if _key(_prompt(item), item.text) not in trained]
    threshold, allowed = context.config.near_threshold, context.config.max_overlap
    near = near_overlap(
        *([_words(_prompt(item), item.text) for item in side] for side in (held_out, train)), threshold=threshold
    )
    yield from found(
        near,
        len(context.dataset.held_out),
        "held-out row",
        f"have nearly the same prompt as a training row (Jaccard similarity of {threshold:g} or more)",
        code="near_overlap",
        severity="warning" if len(near) > allowed * len(context.dataset.held_out) else "note",
        examples=[f"{held_out[e.index].origin} is nearly {train[e.of].origin} ({e.similarity:.2f})" for e in near[:3]],
        why="Held-out loss then measures memory in part: the adapter looks better than it is on new questions.",
        remedy="Take them out of the training rows (tunelab clean --exclude HELD_OUT --near-overlap "
        f"{threshold:g}), or allow them (checks.max_overlap, now {allowed:g}).",
    )


def _different(items: Sequence[Conversation]) -> list[Conversation]:
    """Return the first of those that are equal word for word; its copies have a finding of their own."""
    first: dict[str, Conversation] = {}
    for item in items:
        first.setdefault(_key(item.messages, item.text), item)
    return list(first.values())


def _whole_sessions(items: Sequence[Conversation]) -> list[Conversation]:
    """Return the longest row of each session; rows of one session repeat each other by nature."""
    longest: dict[object, Conversation] = {}
    for key, item in zip(session_keys(map(session_link, items)), items, strict=True):
        if key not in longest or len(item.messages) >= len(longest[key].messages):
            longest[key] = item
    return list(longest.values())


def _prompt(item: Conversation) -> Sequence[Message]:
    return item.messages[: (trained_turns(item) or [0])[-1]]


def _key(messages: Sequence[Message], text: str | None) -> str:
    """Return what equals where messages are equal word for word, system prompt included, white space aside."""
    systems = [message.content or "" for message in messages if message.role == "system"]
    return " ".join("\n".join([*systems, _words(messages, text)]).split())


def _words(messages: Sequence[Message], text: str | None) -> str:
    """Return what is said, without the system prompt that many rows share."""
    said = [text or ""]
    for message in messages:
        if message.role != "system":
            said += [message.content or "", *(f"{call.name} {call.arguments}" for call in message.tool_calls)]
    return "\n".join(said)
