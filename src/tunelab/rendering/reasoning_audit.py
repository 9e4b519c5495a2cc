"""What a chat template made of an answer and of the reasoning in it and before it."""

import re
from collections.abc import Iterator

from tunelab.conversations.conversation import Conversation
from tunelab.rendering.rendered import LeftOut, Remark

# An empty reasoning block; it may begin in the prompt.
_EMPTY_BLOCK = re.compile(r"<think>\s*</think>|<\|channel>thought\s*<channel\|>")
_LONGEST_OPENING = 40  # characters of a prompt in which such a block begins


def left_out(conversation: Conversation, index: int, written: str) -> Iterator[LeftOut]:
    """Yield the parts of an answer that are not in what the template wrote for it."""
    message, origin = conversation.messages[index], conversation.origin
    if message.content and not _holds(written, message.content):
        yield LeftOut(origin=origin, turn=index, part="content")
    if message.reasoning and not _holds(written, message.reasoning):
        yield LeftOut(origin=origin, turn=index, part="reasoning")


def remarks(conversation: Conversation, index: int, text: str, start: int, stop: int) -> Iterator[Remark]:
    """Yield what is to be said of reasoning, of the answer in `text` from `start` to `stop`."""
    message, origin = conversation.messages[index], conversation.origin
    if not message.reasoning and "think" not in (message.content or ""):
        blocks = _EMPTY_BLOCK.finditer(text, max(start - _LONGEST_OPENING, 0), stop)
        if any(block.end() > start for block in blocks):
            yield Remark(origin=origin, turn=index, kind="empty reasoning")
    earlier = next((each.reasoning for each in reversed(conversation.messages[:index]) if each.reasoning), None)
    if earlier and text.find(earlier.strip(), 0, start) < 0:
        yield Remark(origin=origin, turn=index, kind="earlier reasoning")


def _holds(written: str, text: str) -> bool:
    """Whether a text is in what the template wrote; what it does to reasoning in front and to quotes is allowed."""
    words = text.rpartition("</think>")[2].strip()
    return words in written or words.replace("\n", "\\n").replace('"', '\\"') in written
