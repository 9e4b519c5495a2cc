"""Checks of what rows hold besides conversations: fields that nobody reads, marks, answers that are none."""

from collections.abc import Iterator, Sequence

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding, Severity
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.conversations.fingerprints import answer_turns, trained_turns
from tunelab.conversations.unread import UnreadField
from tunelab.errors import counted

_NAMED = 8
"""Fields that a sentence names at most."""
_NO_VALUE = frozenset({"nan", "none", "null", "na", "n/a", "<na>", "#n/a", "nat", "undefined"})
"""What programs write where a value is missing, in lower case."""
_LONGEST_WORD = 20
"""Characters, white space around it included: longer answers are not compared."""


@rule("unread_fields")
def unread_fields(context: CheckContext) -> Iterator[Finding]:
    """Fields of rows and keys of messages that their format does not read."""
    unread = context.dataset.unread
    total = len(context.dataset.conversations)
    yield from _unread([each for each in unread if not each.describes], total, "warning")
    yield from _unread([each for each in unread if each.describes], total, "note")
    yield from _unwritten_names(context)


def _unwritten_names(context: CheckContext) -> Iterator[Finding]:
    """Yield the conversations whose speakers have names that the chat template does not write."""
    if context.template is None or context.template.names:
        return
    spoken = ((item, each) for item in context.dataset.conversations for each in item.messages if each.role != "tool")
    named = {str(item.origin): each.name for item, each in spoken if each.name}
    yield from found(
        list(named),
        len(context.dataset.conversations),
        "conversation",
        "name who speaks (name of a message), and the chat template does not write it",
        code="unread_fields",
        severity="warning",
        examples=[f"{origin}: {name}" for origin, name in list(named.items())[:3]],
        why="The model never sees these names: all who speak in a role are one to it.",
        remedy='Write the name into the content ("Bob: …") if it matters, or name another data.chat_template.',
    )


def _unread(fields: Sequence[UnreadField], total: int, severity: Severity) -> Iterator[Finding]:
    if not fields:
        return
    named = [f"{each.path} ({counted(each.num_rows, 'row')}, such as {each.example})" for each in fields[:_NAMED]]
    more = [f"{len(fields) - _NAMED:,} more"] if len(fields) > _NAMED else []
    kind = "describing field" if severity == "note" else "field"
    says = f"{counted(len(fields), kind)} of the rows {'is' if len(fields) == 1 else 'are'} not read"
    yield Finding(
        code="unread_fields",
        severity=severity,
        summary=f"{says}: {', '.join([*named, *more])}",
        count=max(each.num_rows for each in fields),
        total=max(total, *(each.num_rows for each in fields)),
        examples=tuple(f"{each.origin}: {each.path}" for each in fields[:3]),
        why="The model never sees what is not read, neither in training nor in an answer.",
        remedy="Nothing needs to be done if these fields are not meant for the model."
        if severity == "note"
        else "Name what a field is (data.field_map), put it into a template (data.prompt_template), or remove it.",
    )


@rule("answer_marked_untrained", "answer_unfinished")
def untrained_answers(context: CheckContext) -> Iterator[Finding]:
    """Answers that are not trained: the data mark them so, or they were cut off when they were written."""
    answers = [(item, turn) for item in context.dataset.conversations for turn in answer_turns(item)]
    places: dict[str, list[str]] = {"marked": [], "unfinished": [], "": []}
    for item, turn in answers:
        places[item.messages[turn].untrained].append(f"{item.origin}: message {turn + 1}")
    yield from found(
        places["marked"],
        len(answers),
        "answer",
        "are not trained: a mark of the data (weight, loss, train …) says so",
        code="answer_marked_untrained",
        severity="note",
        why="The model sees them in the prompts of later answers and does not learn to write them.",
        remedy="Nothing needs to be done if that is what the marks are for.",
    )
    yield from found(
        places["unfinished"],
        len(answers),
        "answer",
        "were cut off by a limit of tokens when they were written (finish_reason: length) and are not trained",
        code="answer_unfinished",
        severity="warning",
        why="Trained with an end after it, half an answer teaches the model to stop in the middle.",
        remedy="Write them again with a higher limit, or remove the rows.",
    )


@rule("answer_without_value")
def answers_without_value(context: CheckContext) -> Iterator[Finding]:
    """Trained answers that are nothing but a program's word for a missing value."""
    answers = [(item, turn) for item in context.dataset.conversations for turn in trained_turns(item)]
    said = [(item, turn, item.messages[turn]) for item, turn in answers if not item.messages[turn].tool_calls]
    empty = [(item, turn, each.content) for item, turn, each in said if _is_no_value(each.content or "")]
    yield from found(
        empty,
        len(answers),
        "trained answer",
        "are a word for a missing value, such as nan or None",
        code="answer_without_value",
        severity="warning",
        examples=[f"{item.origin}: message {turn + 1}: {word}" for item, turn, word in empty[:3]],
        why="A program wrote it where there was no answer, and the model learns to answer with it.",
        remedy='Remove these rows or fill them in; if the word is an answer, as the class "None" is, say so in '
        "checks.ignore.",
    )


def _is_no_value(answer: str) -> bool:
    return len(answer) <= _LONGEST_WORD and answer.strip().lower() in _NO_VALUE
