"""What whoever serves an adapter must know of its training; the manifest of a run holds it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import msgspec

from tunelab.conversations import Conversation
from tunelab.errors import RunError
from tunelab.files import canonical_json
from tunelab.workspace import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Facts of a finished run."""

    base_model: str
    template_sha256: str
    """The rendering it was trained with: answering with another one is refused."""
    rendered_on: date
    """The day that templates which write a date were told."""
    system_prompt: str | None = None
    """The system prompt of its training conversations, where all have the same."""
    tools: tuple[dict[str, Any], ...] = ()
    """The tool catalogue of its training conversations, where all have the same."""
    steps: int = 0
    adapter_step: int = 0
    """The optimizer step whose weights were kept."""
    held_out_loss: float | None = None

    def to_json(self) -> dict[str, object]:
        """Return the facts as JSON values."""
        return {**asdict(self), "rendered_on": self.rendered_on.isoformat(), "tools": list(self.tools)}


def read_facts(run: Run) -> RunFacts:
    """Return the facts in a run's manifest.

    Raises:
        RunError: the manifest is damaged.
    """
    try:
        return msgspec.json.decode(run.manifest_file.read_bytes(), type=RunFacts)
    except msgspec.DecodeError as error:
        remedy = "Train again."
        raise RunError(f"the manifest is damaged ({error})", where=str(run.manifest_file), remedy=remedy) from error


def common_opening(conversations: Iterable[Conversation]) -> tuple[str | None, tuple[dict[str, Any], ...]]:
    """Return the system prompt and the tools that all conversations share; None and () where they differ."""
    openings = {_opening(conversation) for conversation in conversations}
    system_prompt, tools = openings.pop() if len(openings) == 1 else (None, "[]")
    return system_prompt, tuple(msgspec.json.decode(tools))


def _opening(conversation: Conversation) -> tuple[str | None, str]:
    first = conversation.messages[0] if conversation.messages else None
    system_prompt = first.content if first is not None and first.role == "system" else None
    return system_prompt, canonical_json(list(conversation.tools))
