"""What the conversations of a data set begin with."""

from collections.abc import Iterable
from typing import Any

import msgspec

from tunelab.conversations.conversation import Conversation
from tunelab.files import canonical_json


def common_opening(conversations: Iterable[Conversation]) -> tuple[str | None, tuple[dict[str, Any], ...]]:
    """Return the system prompt and the tools that all conversations share; None and () if they differ."""
    openings = {_opening(conversation) for conversation in conversations}
    system_prompt, tools = openings.pop() if len(openings) == 1 else (None, "[]")
    return system_prompt, tuple(msgspec.json.decode(tools))


def _opening(conversation: Conversation) -> tuple[str | None, str]:
    first = conversation.messages[0] if conversation.messages else None
    system_prompt = first.content if first is not None and first.role == "system" else None
    return system_prompt, canonical_json(list(conversation.tools))
