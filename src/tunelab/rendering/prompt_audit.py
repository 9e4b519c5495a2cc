"""Whether a chat template wrote every message of a prompt."""

import re
from collections.abc import Iterator

from tunelab.conversations.conversation import Conversation
from tunelab.rendering.rendered import Remark

_LETTERS = re.compile(r"\W+|_")


def turn_left_out(conversation: Conversation, index: int, text: str, start: int) -> Iterator[Remark]:
    """Yield the first message before an answer that is not in its prompt, which is `text` up to `start`.

    Only the last answer is examined: its prompt holds those of the others. What templates do to the text of a message
    is allowed: blanks, quotes, escapes, reasoning taken out.
    """
    if any(message.role == "assistant" for message in conversation.messages[index + 1 :]):
        return
    end = 0
    for place, message in enumerate(conversation.messages[:index]):
        words = (message.content or "").rpartition("</think>")[2].strip()
        found = text.find(words, end, start)
        if found >= 0:
            end = found + len(words)
        elif text.find(words, 0, start) < 0 and _letters(words) not in _letters(text[:start]):
            yield Remark(origin=conversation.origin, turn=place, kind="turn left out")
            return


def _letters(text: str) -> str:
    """Return the letters and digits of a text, escapes of JSON taken out."""
    return _LETTERS.sub("", re.sub(r"\\(?:u[0-9a-fA-F]{4}|.)", "", text))
