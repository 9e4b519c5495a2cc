"""CheckContext made by hand for the tests of the checks."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tunelab.checks.config import ChecksConfig
from tunelab.checks.context import CheckContext
from tunelab.conversations.conversation import Conversation, Message
from tunelab.dataset.dataset import Dataset
from tunelab.rendering.rendered import Dropped, DropReason, Rendered, RenderedSet
from tunelab.sources.row import Origin

DATASET_FIELDS = {field.name for field in dataclasses.fields(Dataset)}


def chat(line: int, prompt: str = "", answer: str = "fine", *, path: str = "train.jsonl") -> Conversation:
    messages = (Message(role="user", content=prompt or f"question {line}"), Message(role="assistant", content=answer))
    return Conversation(messages=messages, origin=Origin(path=path, line=line))


def chats(count: int, *, first: int = 1, path: str = "train.jsonl") -> list[Conversation]:
    return [chat(line, path=path) for line in range(first, first + count)]


def rendered(
    line: int, prompt: Sequence[int] = (1, 2), completion: Sequence[int] = (3, 4), **fields: object
) -> Rendered:
    settings: dict[str, object] = {"turn": 1, "conversation": line - 1, "group": str(line), **fields}
    return Rendered(
        prompt_ids=np.array(prompt, dtype=np.int32),
        completion_ids=np.array(completion, dtype=np.int32),
        origin=Origin(path="train.jsonl", line=line),
        **settings,  # type: ignore[arg-type]
    )


def dropped(line: int, reason: DropReason) -> Dropped:
    return Dropped(origin=Origin(path="train.jsonl", line=line), turn=1, reason=reason, num_tokens=3000)


def a_set(sequences: Sequence[Rendered], **fields: object) -> RenderedSet:
    settings: dict[str, object] = {"num_cut": 0, "num_cut_tokens": 0, "dropped": (), **fields}
    return RenderedSet(sequences=tuple(sequences), **settings)  # type: ignore[arg-type]


def context(**fields: object) -> CheckContext:
    """Return a context; fields of the data set go to the data set."""
    settings: dict[str, object] = {"train": chats(20), "config": ChecksConfig(), **fields}
    data = {name: settings.pop(name) for name in DATASET_FIELDS if name in settings}
    return CheckContext(dataset=Dataset(**data), **settings)  # type: ignore[arg-type]


def of_sequences(sequences: Sequence[Rendered], **fields: object) -> CheckContext:
    return context(rendered_train=a_set(sequences), **fields)
