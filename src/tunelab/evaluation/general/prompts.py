"""The prompts that come with tunelab."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

_KINDS = ("english", "portuguese", "code", "arithmetic", "refusal")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralPrompt:
    """One prompt."""

    kind: str
    """``english``, ``portuguese``, ``code``, ``arithmetic`` or ``refusal``."""
    text: str


def general_prompts() -> list[GeneralPrompt]:
    """Return the sixty prompts, twelve of each kind, in a fixed order."""
    text = files("tunelab.evaluation.general").joinpath("prompts.txt").read_text(encoding="utf-8")
    prompts, kind = [], ""
    for line in text.splitlines():
        if line.startswith("# "):
            kind = line.removeprefix("# ")
        elif line:
            prompts.append(GeneralPrompt(kind=kind, text=line))
    assert {each.kind for each in prompts} == set(_KINDS)
    return prompts
