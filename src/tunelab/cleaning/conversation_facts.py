"""What only a conversation knows: whether a row is one, its prompt and its answer, and which session it is of."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from tunelab.cleaning.readers.read_batches import ReadPlan, find_read_plan
from tunelab.conversations import Conversation, ConversationConfig, Format
from tunelab.conversations.fingerprints import answer_key, answer_turns, questions
from tunelab.conversations.format import find_format
from tunelab.conversations.label import labels_of, last_answer, object_in
from tunelab.conversations.prepared_row import prepared
from tunelab.conversations.split import Link, session_link
from tunelab.errors import DataError, RecipeError, guess, listed
from tunelab.sources import Origin, Row

_ROLES = frozenset({"system", "user", "assistant"})
_SPEAKERS = frozenset({"human", "gpt", "system"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why a row is no conversation that anybody can train on."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFacts:
    """What is kept of a conversation while its row is in the spool."""

    prompts: tuple[int, ...]
    """64-bit hashes of its prompts, one per trained answer; of a plain text, of the text."""
    answer: int
    """64-bit hash of its last trained answer."""
    link: Link
    label: str


def find_shape(rows: Sequence[Row], conversation: ConversationConfig) -> tuple["Shape | None", ReadPlan, str]:
    """Return the conversation format that files begin with, how they are read, and the evidence, to be said aloud.

    The format is None for a table whose columns nobody said how to make a conversation of.
    """
    try:
        found, evidence = find_format([prepared(row, conversation) for row in rows], conversation)
    except DataError:
        read_plan = find_read_plan(rows, is_conversation=False)
        return (
            None,
            read_plan,
            f"a table: {', '.join(read_plan.columns)}" if read_plan.columns else "no row can be read",
        )
    read_plan = find_read_plan(rows, is_conversation=found.name not in ("table", "text"))
    return Shape(found, conversation), read_plan, evidence


class Shape:
    """The conversation format of some rows."""

    def __init__(self, found: Format, config: ConversationConfig) -> None:
        self.format, self._config = found, config

    def judge(self, values: Sequence[object], file: str, lines: Sequence[int]) -> list[Refused | None]:
        """Tell of each row whether it is a conversation; those that plainly are one cost little."""
        return [
            None if self._plain(value) else self._refused(value, Origin(path=file, line=line))
            for value, line in zip(values, lines, strict=True)
        ]

    def said(self, values: Sequence[object], file: str, lines: Sequence[int]) -> list[ConversationFacts]:
        """Return the prompts and answers of rows.

        Raises:
            DataError: one is no conversation.
        """
        placed = zip(values, lines, strict=True)
        rows = [_row(value, Origin(path=file, line=line)) for value, line in placed]
        pairs = [(row, self._conversation(row)) for row in rows]
        return [
            ConversationFacts(
                prompts=tuple(_number(key) for key in questions(conversation)),
                answer=_number(answer_key(conversation)),
                link=session_link(conversation),
                label=" ".join(last_answer(conversation).split()) if label is None else label,
            )
            for (_, conversation), label in zip(pairs, labels_of(pairs, self._config), strict=True)
        ]

    def refuse_unknown_label(self, rows: Sequence[Row]) -> None:
        """Raise a RecipeError if `label_json_key` or `label_pattern` finds nothing in any answer of some rows."""
        key, pattern = self._config.label_json_key, self._config.label_pattern
        if key is None and pattern is None:
            return
        said = []
        for row in rows:
            with suppress(DataError):  # no conversation: rejected when it is its turn
                said.append((row, self._conversation(row)))
        if not said or any(labels_of(said, self._config)):
            return
        if key is None:
            raise RecipeError("it finds nothing in any answer", where="label_pattern", expected="a part of some answer")
        keys = dict.fromkeys(key for _, each in said for key in object_in(last_answer(each)))
        raise RecipeError(
            f'no answer is JSON with the key "{key}"',
            where="label_json_key",
            expected=f"one of {listed(keys)}" if keys else "answers that are JSON objects",
            remedy=guess(key, keys),
        )

    def _refused(self, value: object, origin: Origin) -> Refused | None:
        try:
            conversation = self._conversation(_row(value, origin))
        except DataError as error:
            return Refused(reason=f"{error.what}; expected {error.expected}" if error.expected else error.what)
        if conversation.text is None and not answer_turns(conversation):
            return Refused(reason="the assistant never speaks")
        return None

    def _conversation(self, row: Row) -> Conversation:
        row = prepared(row, self._config)
        if not self.format.recognises(row):
            raise DataError("the row is of another shape", where=str(row.origin), expected=self.format.shape)
        return self.format.convert(row, self._config)

    def _plain(self, value: object) -> bool:
        """Tell whether a row is certainly fine: messages of role and text, nothing else but an id, and an answer."""
        if type(value) is not dict or len(value) > 2 or self._config.field_map or self._config.role_map:
            return False
        if self.format.name == "messages":
            messages, who, what, roles, answers = value.get("messages"), "role", "content", _ROLES, "assistant"
        elif self.format.name == "sharegpt":
            messages, who, what, roles, answers = value.get("conversations"), "from", "value", _SPEAKERS, "gpt"
        else:
            return False
        if type(messages) is not list or (len(value) == 2 and not value.keys() & {"id", "session_id"}):
            return False
        speaks = False
        for message in messages:
            if type(message) is not dict or len(message) != 2 or type(message.get(what)) is not str:
                return False
            speaker = message.get(who)
            if type(speaker) is not str or speaker not in roles:
                return False
            speaks = speaks or speaker == answers
        return speaks


def _number(digest: bytes) -> int:
    return int.from_bytes(digest[:8], "little")


def _row(value: object, origin: Origin) -> Row:
    assert isinstance(value, dict | str)
    return Row(value=value, origin=origin)
