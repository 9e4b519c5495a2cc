"""Messages in the form a chat template takes them, and tools in words for templates that know none."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tunelab.conversations.conversation import Message, ToolCall
from tunelab.conversations.tool_results import in_order_of_calls

TemplateMessage = dict[str, object]

TOOL_PREAMBLE = """You can use the tools listed below. To use them, end your answer with a line of JSON:
{"tool_calls": [{"name": "name of the tool", "arguments": {"name of an argument": "its value"}}]}
The results come in the next message: {"tool_results": [{"name": "name of the tool", "content": "what it gave"}]}
Use a tool only where it helps; otherwise answer in plain words.

Tools, one per line:
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a chat template does with messages, as found by rendering small conversations with it."""

    parts: bool = False
    """It takes content as a list of parts."""
    system: bool = True
    """It writes a system message."""
    tools: bool = False
    """It writes the tool catalogue."""
    tool_calls: bool = False
    """It writes the calls an assistant makes."""
    names: bool = True
    """It writes the name of who speaks (`name` of a message)."""
    call_ids: bool = False
    """It writes the id of a call next to its result."""
    text_arguments: bool = False
    """It takes a call's arguments as JSON text, not as an object."""
    closing: str = ""
    """What it writes after the last answer."""
    end_of_turn: tuple[str, ...] = ()
    """The control tokens that end an answer and, where it differs, an answer that calls tools."""
    own_system: str = ""
    """What it writes as system text by itself if a conversation has none; empty if nothing."""
    keeps_own_system: bool = False
    """Whether it writes that even before a system message of the conversation."""
    own_system_silenced: bool = False
    """Whether an empty system message keeps it from doing so."""
    next_turn: tuple[str | None, str | None] = (None, None)
    """The special tokens that open what follows an answer, and one that calls tools."""


def for_template(
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, object]],
    abilities: Abilities,
    *,
    with_preamble: bool,
    silences_system: bool = False,
) -> list[TemplateMessage]:
    """Return the messages as a template takes them.

    Results of calls, if the template writes no ids, are put in the order of the calls: there they are bound by place.
    With `silences_system`, messages without a system message get an empty one, so that the template writes none itself.

    What the template cannot write is put into words, always the same ones: calls and results of tools where it knows no
    calls, the catalogue (only if `with_preamble`) where it knows no tools, the system message where it knows none.
    """
    if not abilities.call_ids:
        messages = in_order_of_calls(messages)
    if not abilities.tool_calls:
        messages = list(_calls_in_words(messages))
    if tools and not abilities.tools and with_preamble:
        catalogue = "\n".join(_json(tool) for tool in tools)
        messages = _after_system_text(messages, TOOL_PREAMBLE + catalogue)
    if silences_system and not (messages and messages[0].role == "system"):
        messages = [Message(role="system", content=""), *messages]
    if not abilities.system:
        messages = _system_into_user(messages)
    return [_as_dict(message, abilities) for message in messages]


def _calls_in_words(messages: Iterable[Message]) -> Iterable[Message]:
    results: list[dict[str, object]] = []
    names: dict[str | None, str] = {}
    for message in messages:
        if message.role == "tool":
            name = message.name or names.get(message.tool_call_id)
            results.append({"name": name, "content": message.content} if name else {"content": message.content})
            continue
        if results:
            yield Message(role="user", content=_json({"tool_results": results}))
            results = []
        if message.tool_calls:
            names |= {call.id: call.name for call in message.tool_calls if call.id}
            calls = _json(
                {"tool_calls": [{"name": call.name, "arguments": dict(call.arguments)} for call in message.tool_calls]}
            )
            content = f"{message.content}\n{calls}" if message.content else calls
            message = replace(message, content=content, tool_calls=())
        yield message
    if results:
        yield Message(role="user", content=_json({"tool_results": results}))


def _after_system_text(messages: Sequence[Message], text: str) -> list[Message]:
    if messages and messages[0].role == "system":
        first = replace(messages[0], content=f"{messages[0].content or ''}\n\n{text}".strip())
        return [first, *messages[1:]]
    return [Message(role="system", content=text), *messages]


def _system_into_user(messages: Sequence[Message]) -> list[Message]:
    """Put the system text in front of the first user message."""
    user = next((index for index, message in enumerate(messages) if message.role == "user"), None)
    if user is None or messages[0].role != "system":
        return list(messages)
    text = f"{messages[0].content or ''}\n\n{messages[user].content or ''}".strip()
    return [*messages[1:user], replace(messages[user], content=text), *messages[user + 1 :]]


def _as_dict(message: Message, abilities: Abilities) -> TemplateMessage:
    """Return a message with the keys that chat templates read; what is None has no key, as templates ask for keys."""
    content: object = message.content
    if abilities.parts and message.content is not None:
        content = [{"type": "text", "text": message.content}]
    calls = [_call(call, as_text=abilities.text_arguments) for call in message.tool_calls]
    entries = {
        "role": message.role,
        "content": content,
        "thinking": message.reasoning,  # gpt-oss reads this name, all others the next one
        "reasoning_content": message.reasoning,
        "tool_calls": calls or None,
        "tool_call_id": message.tool_call_id,
        "name": message.name,
    }
    return {key: value for key, value in entries.items() if value is not None}


def _call(call: ToolCall, *, as_text: bool) -> dict[str, object]:
    arguments = _json(dict(call.arguments)) if as_text else dict(call.arguments)
    entries = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}
    return {key: value for key, value in entries.items() if value is not None}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
