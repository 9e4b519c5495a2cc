"""All recognisers of what should not be learnt by heart, and what they find in a text."""

from collections.abc import Collection, Mapping
from typing import Literal

from tunelab.texts.recognisers.personal_data import PERSONAL_DATA
from tunelab.texts.recognisers.recogniser import Recogniser, Span
from tunelab.texts.recognisers.secrets import SECRETS

Sort = Literal["personal_data", "secrets"]

RECOGNISERS: Mapping[Sort, tuple[Recogniser, ...]] = {"personal_data": PERSONAL_DATA, "secrets": SECRETS}
"""By sort: the name of cleaning's setting, and the code of the finding."""

CANDIDATES: Mapping[Sort, str] = {
    sort: "|".join(dict.fromkeys(f"(?:{each.candidate})" for each in recognisers))
    for sort, recognisers in RECOGNISERS.items()
}
"""Pattern, for Rust and Python, found in every text with a hit of the sort, and in others: a fast first scan."""


def find(sort: Sort, text: str, kinds: Collection[str] | None = None) -> list[Span]:
    """Return the hits of `kinds` (None: of all) by place. Those that overlap are one, of the kind that begins first."""
    recognisers = [each for each in RECOGNISERS[sort] if kinds is None or each.kind in kinds]
    found = sorted(
        (span for each in recognisers for span in each.spans(text)), key=lambda span: (span.start, -span.end)
    )
    apart: list[Span] = []
    for span in found:
        if apart and span.start < apart[-1].end:
            first = apart[-1]
            apart[-1] = Span(kind=first.kind, start=first.start, end=max(first.end, span.end))
        else:
            apart.append(span)
    return apart
