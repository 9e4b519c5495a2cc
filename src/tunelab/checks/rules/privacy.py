"""Checks for what should not be learnt by heart: personal data, secrets. Findings name kinds and places, no words."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial

import msgspec
import numpy as np

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.checks.text_index import Texts, place, texts_of
from tunelab.texts.recognisers import CANDIDATES, RECOGNISERS, Sort, find
from tunelab.texts.recognisers.secrets import GUESSED_KINDS
from tunelab.texts.redaction import redacted

_WHY = "What is trained can be said again: a model can repeat rare strings of its training rows to anyone."


@rule("personal_data", "secrets")
def privacy(context: CheckContext) -> Iterator[Finding]:
    """Conversations that hold personal data or secrets, in any message, its reasoning or the arguments of its calls."""
    texts = texts_of(context.dataset.conversations)
    places, kinds = _located(texts, "personal_data")
    yield from found(
        places,
        len(context.dataset.conversations),
        "conversation",
        f"hold personal data ({_counts(kinds)})",
        code="personal_data",
        severity="warning",
        why=_WHY,
        remedy="Redact them (tunelab clean --personal-data redact) or drop the rows; if they are made up, or meant to "
        "be learnt, say so in checks.ignore.",
    )
    places, kinds = _located(texts, "secrets")
    yield from found(
        places,
        len(context.dataset.conversations),
        "conversation",
        f"hold secrets ({_counts(kinds)})",
        code="secrets",
        severity="warning" if set(kinds) <= GUESSED_KINDS else "error",
        why=_WHY,
        remedy="Revoke what is real, then redact it (tunelab clean --secrets redact) or drop the rows; if all are made "
        "up, say so in checks.ignore.",
    )


@rule("personal_data", "secrets")
def privacy_of_tools(context: CheckContext) -> Iterator[Finding]:
    """Tools whose definition, which is part of every prompt that offers them, holds personal data or secrets."""
    tools: dict[str, str] = {}
    for item in context.dataset.conversations:
        for number, tool in enumerate(item.tools, start=1):
            text = msgspec.json.encode(tool).decode()
            if text not in tools:
                tools[text] = f"{item.origin}: {_tool_name(tool, number)}"
    for sort in RECOGNISERS:
        kinds_of = {text: dict.fromkeys(redacted(text, partial(find, sort)).kinds) for text in tools}
        yield from found(
            [f"{tools[text]}: {', '.join(kinds)}" for text, kinds in kinds_of.items() if kinds],
            len(tools),
            "tool",
            f"hold {sort.replace('_', ' ')} in their definition",
            code=sort,
            severity="warning",
            why="A definition is part of every prompt that offers its tool.",
            remedy="Remove them from the definitions by hand, which tunelab clean leaves as they are; if they are made "
            "up, or meant to be there, say so in checks.ignore.",
        )


def _tool_name(tool: Mapping[str, object], number: int) -> str:
    """Return what a tool is called; its number where it has no name, or one that must not be shown."""
    inside = tool.get("function", tool)
    name = inside.get("name") if isinstance(inside, Mapping) else None
    shown = isinstance(name, str) and not any(find(sort, name) for sort in RECOGNISERS)
    return f"tool {name}" if shown else f"tool {number}"


def _located(texts: Texts, sort: Sort) -> tuple[list[str], Counter[str]]:
    """Return a place for each conversation with a hit, and how many conversations hold each kind."""
    spans = {index: find(sort, texts.different[index]) for index in texts.candidates(CANDIDATES[sort])}
    kinds_of = {index: sorted({span.kind for span in found}) for index, found in spans.items() if found}
    hits_T = np.zeros(len(texts.different), dtype=bool)
    hits_T[list(kinds_of)] = True
    places = [f"{place(item, number)}: {', '.join(kinds_of[text])}" for item, number, text in texts.places(hits_T)]
    counts: Counter[str] = Counter()
    for kind in sorted({kind for kinds in kinds_of.values() for kind in kinds}):
        holding_T = np.zeros(len(texts.different), dtype=bool)
        holding_T[[index for index, kinds in kinds_of.items() if kind in kinds]] = True
        counts[kind] = sum(1 for _ in texts.places(holding_T))
    return places, counts


def _counts(kinds: Counter[str]) -> str:
    return ", ".join(f"{kind} in {count:,}" for kind, count in kinds.most_common())
