"""Conversations of every shape that a chat template has to do with, as rows and as transformers takes them."""

from collections.abc import Iterator, Sequence
from typing import Any

from small_models import assistant, conversation, system, user

from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.rendering.renderer import Renderer
from tunelab.rendering.template_messages import for_template

CALL = ToolCall(name="get_price", arguments={"product": "tea"}, id="call12345")
OTHER = ToolCall(name="get_price", arguments={"product": "café"}, id="call67890")
NULLS = ToolCall(
    name="get_price",
    arguments={"product": None, "count": 2, "share": 0.5, "new": True, "tags": ["a", None], "more": {"x": None}},
    id="call12345",
)
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_price",
        "description": "Price of a product",
        "parameters": {
            "type": "object",
            "properties": {"product": {"type": "string", "description": "which"}},
            "required": ["product"],
        },
    },
}


def result(content: str, call: ToolCall = CALL) -> Message:
    """What a tool gave back."""
    return Message(role="tool", content=content, name=call.name, tool_call_id=call.id)


def _asked(*more: Message) -> list[Message]:
    return [system("Be brief."), user("Price of tea?"), *more]


PLAIN = [user("Hi there"), assistant("Hello **you**"), user("More?"), assistant("Bye"), user("So?"), assistant("Yes.")]
CASES: dict[str, list[Message]] = {
    "turns": PLAIN,
    "system": [system("Be brief."), *PLAIN[:4]],
    "greeting": [assistant("Welcome!"), *PLAIN[:2]],
    "unicode": [
        user("Ação? 日本語 👩‍👩‍👧 e\u0301"),
        assistant("עברית, ไทย ñ n\u0303 🙂\u200b"),
        user("½"),
        assistant("①"),
    ],
    "spaces": [user("  two\n\n"), assistant("\n\n indented\n"), user(" "), assistant("end \n")],
    "empty": [user("Hi"), assistant(""), user("?"), assistant("Here.")],
    "catalogue": [user("Hi"), assistant("Hello"), user("2?"), assistant("Two")],
    "call": _asked(assistant(None, CALL), result('{"price": 3}'), assistant("It is 3."), user("Ok"), assistant("Bye")),
    "calls": _asked(assistant(None, CALL, OTHER), result("3"), result("4", OTHER), assistant("3 and 4.")),
    "words and call": _asked(assistant("I look.", CALL), result("3"), assistant("It is 3.")),
    "nulls": _asked(assistant(None, NULLS), result("null"), assistant("None.")),
    "reasoning": [*PLAIN[:1], assistant("Hello", reasoning="Greet."), user("2+2?"), assistant("4", reasoning="A sum.")],
    "some reasoning": [*PLAIN[:2], user("2+2?"), assistant("4", reasoning="A sum."), user("Ok"), assistant("Bye")],
    "reasoning and call": _asked(
        assistant(None, CALL, reasoning="Look."), result("3"), assistant("It is 3.", reasoning="Read.")
    ),
    "tags": [user("Hi"), assistant("<think>\nGreet.\n</think>\n\nHello"), user("2?"), assistant("Two")],
}
"""Names as docs/concepts/chat-templates.md has them."""

WITH_TOOLS = frozenset({"catalogue", "call", "calls", "words and call", "nulls", "reasoning and call"})


def row_of(case: str) -> Conversation:
    """Return a case as a row."""
    return conversation(*CASES[case], tools=(TOOL,) if case in WITH_TOOLS else ())


def rows_with_control_words(
    special: Sequence[str], markup: Sequence[str], *, calls: bool, together: bool
) -> Iterator[Conversation]:
    """Yield rows in which strings of control tokens stand as words wherever they have to stay text.

    All of them stand in the same rows if `together`, else each in rows of its own.
    """
    everywhere = [special] if together else [[token] for token in special]
    outside = [(*special, *markup)] if together else [[token] for token in (*special, *markup)]
    for tokens in everywhere:  # special ones stay text in answers, too
        words = " and ".join(tokens)
        said = [user(f"say   {words}{words} now"), assistant(f"{words} said"), user("Ok"), assistant(f"Bye{words}")]
        yield conversation(system(f"No {words}."), *said)
    for tokens in outside:
        words = " and ".join(tokens)
        call = ToolCall(name="get_price", arguments={"product": f"a {words} b"}, id="call12345")
        yield conversation(user(f"{words} is"), assistant("Words."), user(f"a\n{words}\n"), assistant("Yes."))
        if calls:
            yield conversation(*_asked(assistant(None, call), result(f"3 {words}"), assistant("3.")), tools=(TOOL,))


def as_transformers_takes_them(row: Conversation, renderer: Renderer) -> tuple[list[dict[str, Any]], Any]:
    """Return messages and tools as one hands them to `apply_chat_template`.

    What the template cannot write comes in the words that tunelab puts it into; tests of their own hold those.
    """
    can = renderer.abilities
    speaks = can.system or all(message.role != "system" for message in row.messages)
    calls = can.tool_calls or all(message.role != "tool" and not message.tool_calls for message in row.messages)
    if speaks and calls and (can.tools or not row.tools):
        return [_as_dict(message, parts=can.parts) for message in row.messages], [*row.tools] or None
    return for_template(row.messages, row.tools, can, with_preamble=True), [*row.tools] if can.tools else None


def _as_dict(message: Message, *, parts: bool) -> dict[str, Any]:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
        for call in message.tool_calls
    ]
    content: object = message.content
    return {
        "role": message.role,
        "content": [{"type": "text", "text": content}] if parts and content is not None else content,
        "reasoning_content": message.reasoning,
        "tool_calls": calls or None,
        "tool_call_id": message.tool_call_id,
        "name": message.name,
    }
