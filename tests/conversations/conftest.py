from collections.abc import Callable
from pathlib import Path

import pytest

from tunelab.conversations import ConversationConfig, Conversations, read_conversations
from tunelab.errors import DataError
from tunelab.sources import Origin, Row, refuse

Understand = Callable[..., Conversations]


@pytest.fixture
def understand(tmp_path: Path) -> Understand:
    """Return the conversations of row values that stand in t.jsonl; `bad` collects errors instead of raising."""

    def understand(*values: object, bad: list[DataError] | None = None, **settings: object) -> Conversations:
        rows = [
            Row(value=value, origin=Origin(path="t.jsonl", line=line)) for line, value in enumerate(values, start=1)
        ]
        on_bad = refuse if bad is None else bad.append
        return read_conversations(rows, ConversationConfig(**settings), base=tmp_path, on_bad=on_bad)

    return understand


@pytest.fixture
def one(understand):
    """Return the one conversation of one row."""
    return lambda value, **settings: understand(value, **settings).items[0]
