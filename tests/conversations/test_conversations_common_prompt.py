"""What all conversations begin with is known only if they agree."""

from tunelab.conversations import Conversation, Message
from tunelab.conversations.common_prompt import common_opening
from tunelab.sources.row import Origin

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}


def _conversation(system: str | None, tools: tuple[dict[str, object], ...] = ()) -> Conversation:
    opening = (Message(role="system", content=system),) if system else ()
    messages = (*opening, Message(role="user", content="hi"), Message(role="assistant", content="ho"))
    return Conversation(messages=messages, tools=tools, origin=Origin(path="made.jsonl", line=1))


def test_an_opening_is_common_only_where_all_conversations_share_it() -> None:
    same = [_conversation("be kind", (TOOL,)), _conversation("be kind", (TOOL,))]
    assert common_opening(same) == ("be kind", (TOOL,))
    assert common_opening([*same, _conversation("be brief", (TOOL,))]) == (None, ())
    assert common_opening([_conversation(None)]) == (None, ())
