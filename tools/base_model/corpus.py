"""The text that the embedded model is trained on: an endless, seeded stream of documents of the sample world."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random

from base_model.chats import draw_chat
from base_model.texts import draw_text
from base_model.tool_chats import draw_tool_chat
from base_model.vocabulary import PAD, chat_renderer
from base_model.words import DRILL_WORDS

PLAIN_SHARE = 0.3
TOOL_SHARE = 0.07


def documents(chance: Random) -> Iterator[str]:
    """Yield documents for ever: plain text closed by the end mark, chats rendered by the chat template."""
    render = chat_renderer()
    while True:
        shape = chance.random()
        if shape < PLAIN_SHARE:
            yield draw_text(chance) + PAD
        else:
            chat = draw_tool_chat(chance) if shape < PLAIN_SHARE + TOOL_SHARE else draw_chat(chance)
            yield render(chat.messages, chat.tools) + PAD


def tokenizer_texts(chance: Random, count: int) -> Iterator[str]:
    """Yield `count` documents, and the drilled words often enough to become tokens with and without a leading space."""
    yield from islice(documents(chance), count)
    for _ in range(40):
        for word in DRILL_WORDS:
            yield f"{word} {word}\n{word.capitalize()}"
