"""A question and an answer in named fields, with what came before them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from tunelab.conversations.build_conversation import build
from tunelab.conversations.config import ConversationConfig, ReadAs
from tunelab.conversations.conversation import Conversation, Message, Role
from tunelab.conversations.field_types import Fields, fault, fields_of, items, optional_text, text
from tunelab.conversations.messages import read_messages, roles_in
from tunelab.sources import Origin, Row


def from_fields(
    question: str,
    answers: Sequence[str],
    row: Row,
    config: ConversationConfig,
    *,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
) -> Conversation:
    """Return the conversation of a row that holds what the user says and what the assistant answers in fields.

    Args:
        question: field of the question.
        answers: fields of which one holds the answer.
        row: with an optional ``history`` of earlier exchanges.
        config: names the roles.
        before: fields whose texts, if there are any, come before the question, an empty line between two.
        after: fields whose texts come after it.
    """
    fields, origin = fields_of(row), row.origin
    around = {name: optional_text(fields.get(name), name, origin) for name in (*before, *after)}
    asked = [*map(around.get, before), text(fields[question], question, origin), *map(around.get, after)]
    kept = [part for index, part in enumerate(asked) if part or index == len(before)]
    exchange = _exchange("\n\n".join(map(str, kept)), _answer(fields, answers, origin))
    return build(row, config, [*_history(fields, roles_in(config), origin), *exchange], roles=roles_in(config))


def from_prompt_completion(row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation of ``{"prompt", "completion", "history"?}``, prompt and completion texts or messages.

    Only the completion is trained where the prompt holds answers of its own; those of a history are trained.
    """
    roles = roles_in(config)
    prompt, completion = _either(row, "prompt", "user", roles), _either(row, "completion", "assistant", roles)
    _refuse_repeated(prompt, completion, row.origin, config)
    train: Literal["all", "last"] = "last" if any(each.role == "assistant" for each in prompt) else "all"
    answers = sum(message.role == "assistant" for message in completion)
    if train == "last" and (answers != 1 or completion[-1].role != "assistant"):
        what = f"completion holds {answers} assistant messages after a prompt that has its own"
        raise fault(row.origin, what, "one, at the end", 'Write the row as "messages" to train all of them.')
    past = _history(fields_of(row), roles, row.origin)
    return build(row, config, [*past, *prompt, *completion], roles=roles, train=train)


def _refuse_repeated(
    prompt: Sequence[Message], completion: Sequence[Message], origin: Origin, config: ConversationConfig
) -> None:
    """Raise a DataError for messages of a completion that begin with the prompt again."""
    asked, said = ([each for each in part if each.role != "system"] for part in (prompt, completion))
    if asked and len(said) > len(asked) and said[: len(asked)] == asked:
        theirs = config.field_map.get("completion", "completion")
        what = f"{theirs} holds the prompt again: the model would read it twice"
        remedy = f"{theirs} is the whole conversation: set data.field_map: {{messages: {theirs}}}."
        raise fault(origin, what, "the answer alone", remedy)


def _answer(fields: Fields, names: Sequence[str], origin: Origin) -> str:
    there = [name for name in names if name in fields]
    stated = [name for name in there if fields[name] is not None] or there
    if len(stated) > 1:
        raise fault(origin, f"{' and '.join(stated)} are two answers", "one", "Remove one of the fields.")
    return text(fields[stated[0]], stated[0], origin)


def _either(row: Row, name: str, role: Role, roles: Mapping[str, ReadAs]) -> list[Message]:
    """Return the messages of a field: those of a list, or one of its text."""
    value = fields_of(row)[name]
    if isinstance(value, list):
        return read_messages(value, row.origin, roles, path=f"{name}: ")
    return [Message(role=role, content=text(value, name, row.origin))]


def _history(fields: Fields, roles: Mapping[str, ReadAs], origin: Origin) -> list[Message]:
    """Return what was said before: a list of earlier [question, answer], or of messages."""
    past = fields.get("history")
    turns = [] if past is None or past == "" else items(past, "history", origin)
    if turns and isinstance(turns[0], dict):
        return read_messages(turns, origin, roles, path="history: ")
    return [message for number, turn in enumerate(turns, start=1) for message in _earlier(turn, number, origin)]


def _earlier(turn: object, number: int, origin: Origin) -> Iterator[Message]:
    sides = items(turn, f"history: turn {number}", origin)
    if len(sides) != 2:
        raise fault(origin, f"history: turn {number} has {len(sides)} entries", "a question and an answer")
    yield from _exchange(*(text(side, f"history: turn {number}", origin) for side in sides))


def _exchange(question: str, answer: str) -> list[Message]:
    return [Message(role="user", content=question), Message(role="assistant", content=answer)]
