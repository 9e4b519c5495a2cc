"""Conversations with made-up texts, for hypothesis."""

from collections.abc import Sequence

from family_cases import CALL, TOOL, result
from hypothesis import strategies as st
from small_models import assistant, conversation, system, user

from tunelab.conversations.conversation import Conversation, Message, ToolCall

_PIECES = (
    "Hello",
    " tea",
    "\n",
    "\n\n",
    "  ",
    "é",
    "e\u0301",
    "日",
    "👩‍👩‍👧",
    "\u00a0",
    "\t",
    "{}",
    '"',
    "<",
    "|>",
    "'s",
    "12",
    "\u200b",
)


def rows(words: Sequence[str], *, calls: bool) -> st.SearchStrategy[Conversation]:
    """Conversations of one to three questions, with `words` (strings of control tokens) among what is said."""
    plain = st.one_of(
        st.lists(st.sampled_from(_PIECES), max_size=6).map("".join),
        st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=8),
    )
    said = st.one_of(plain, plain, st.lists(st.sampled_from([*_PIECES, *words]), max_size=6).map("".join))
    reasoning = st.one_of(st.none(), plain.filter(str.strip))
    answer = st.tuples(plain, reasoning).map(lambda pair: [assistant(pair[0], reasoning=pair[1])])
    with_call = st.tuples(plain, said, reasoning, plain).map(_called)
    turn = st.tuples(said, st.one_of(answer, with_call) if calls else answer)
    return st.tuples(st.one_of(st.none(), said), st.lists(turn, min_size=1, max_size=3)).map(_row)


def _called(parts: tuple[str, str, str | None, str]) -> list[Message]:
    argument, given, reasoning, words = parts
    call = ToolCall(name=CALL.name, arguments={"product": argument, "n": None}, id=CALL.id)
    return [assistant(None, call, reasoning=reasoning), result(given, call), assistant(words)]


def _row(parts: tuple[str | None, list[tuple[str, list[Message]]]]) -> Conversation:
    first, turns = parts
    messages = [message for question, answers in turns for message in (user(question), *answers)]
    called = any(message.role == "tool" for message in messages)
    return conversation(*([system(first)] if first is not None else []), *messages, tools=(TOOL,) if called else ())
