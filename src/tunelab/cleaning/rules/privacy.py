"""Personal data and secrets in the texts of a batch: reported, redacted, or a reason to refuse the row."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import polars as pl

from tunelab.cleaning.clean_report import Tally
from tunelab.cleaning.config import CleaningConfig
from tunelab.cleaning.rules.batch_state import BatchState
from tunelab.cleaning.rules.text_rules import TEXT
from tunelab.texts.recognisers import CANDIDATES, RECOGNISERS, Sort, find
from tunelab.texts.redaction import HIDES, redacted


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyRule:
    """What the recognisers of one sort find, and what is done about it."""

    rule: Sort
    """The setting it comes from."""
    answer: Literal["report", "redact", "drop"]

    def applied(self, state: BatchState, text_fields: pl.DataFrame, changed: Tally, reported: Tally) -> pl.DataFrame:
        """Return the text fields, redacted if that is the setting; rows are refused or counted."""
        found = _found(text_fields, self.rule)
        if self.answer == "redact" and found.stuck:
            reason = "it holds {}, and its JSON cannot be redacted"
            rows = sorted(found.stuck)
            state.refuse(self.rule, rows, [reason.format(_listed(found.kinds.pop(row))) for row in rows])
        rows = sorted(found.kinds)
        words = [_listed(found.kinds[row]) for row in rows]
        if self.answer == "drop":
            state.refuse(self.rule, rows, [f"it holds {each}" for each in words])
            return text_fields
        tally = changed if self.answer == "redact" else reported
        shown = [f"{state.where(row)}: {each}" for row, each in zip(rows, words, strict=True)]
        tally.add(self.rule, len(rows), shown[: tally.room_for(self.rule)])
        if self.answer != "redact" or not found.texts:
            return text_fields
        schema = {"text_field": pl.UInt32, "new": pl.String}
        new = pl.DataFrame({"text_field": list(found.texts), "new": list(found.texts.values())}, schema=schema)
        joined = text_fields.join(new, on="text_field", how="left", maintain_order="left")
        return joined.select(pl.exclude("text", "new"), text=pl.coalesce("new", "text"))


def privacy_rules(config: CleaningConfig) -> Iterator[PrivacyRule]:
    """Yield what is searched for, in the order of the settings."""
    for sort in RECOGNISERS:
        answer = getattr(config, sort)
        if answer != "keep":
            yield PrivacyRule(rule=sort, answer=answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hits:
    kinds: dict[int, list[str]]
    """Row -> what was found in it."""
    texts: dict[int, str]
    """TextField -> its text, redacted."""
    stuck: set[int]
    """Rows with a text that cannot be redacted."""


def _found(text_fields: pl.DataFrame, sort: Sort) -> _Hits:
    found = _Hits(kinds={}, texts={}, stuck=set())
    suspects = text_fields.filter(TEXT.str.contains(CANDIDATES[sort]) | TEXT.str.contains(HIDES))
    for text_field, row, text in suspects.select("text_field", "row", "text").iter_rows():
        hidden = redacted(text, partial(find, sort))
        if hidden.kinds:
            found.kinds.setdefault(row, []).extend(hidden.kinds)
            if hidden.text is None:
                found.stuck.add(row)
            else:
                found.texts[text_field] = hidden.text
    return found


def _listed(kinds: list[str]) -> str:
    return ", ".join(dict.fromkeys(kinds))
