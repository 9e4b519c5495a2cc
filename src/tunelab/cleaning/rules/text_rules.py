"""The rules on text, each written once: an expression over the frame of text fields."""

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from tunelab.cleaning.config import CleaningConfig
from tunelab.texts.html_tags import BARE, BREAKS, DROPPED, TAGS, without_bare_tags
from tunelab.texts.quality import PATTERNS

TEXT = pl.col("text")
_FIELD = pl.col("field")
_EVERY = "*"
_MOST_BYTES = 4
"""Of a character, in UTF-8."""

_ENTITY = r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A rule that changes text."""

    rule: str
    """The setting it comes from."""
    changed: pl.Expr
    """The text afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A rule for which a text is a reason to drop its row."""

    rule: str
    may_be_bad: pl.Expr
    """True wherever `is_bad` is, and quickly found: it depends on no more than how long a text is and how it begins."""
    is_bad: pl.Expr
    reason: pl.Expr
    """What is wrong with the text, in words."""


def changes(config: CleaningConfig) -> Iterator[Change]:
    """Yield the rules that change text, in their order."""
    if config.strip_html:
        yield Change(rule="strip_html", changed=_without_html())
    if config.remove_control_characters:
        yield Change(rule="remove_control_characters", changed=TEXT.str.replace_all(PATTERNS["control_characters"], ""))
    if config.unicode_normalization:
        yield Change(rule="unicode_normalization", changed=TEXT.str.normalize(config.unicode_normalization))


def refusals(config: CleaningConfig) -> Iterator[Refusal]:
    """Yield the rules for which a text is refused, in their order; null is a text of no characters."""
    must = pl.col("is_prose") & ~pl.col("may_be_empty")
    if config.drop_nulls:
        reason = pl.format("{} is null", _FIELD)
        yield Refusal(rule="drop_nulls", may_be_bad=TEXT.is_null(), is_bad=must & TEXT.is_null(), reason=reason)
    if config.drop_blank:
        begins_well = ((TEXT >= "!") & (TEXT < "\x7f")).fill_null(False)
        blank = TEXT.str.strip_chars().str.len_bytes().fill_null(0) == 0
        reason = pl.format("{} is blank", _FIELD)
        yield Refusal(rule="drop_blank", may_be_bad=~begins_well, is_bad=must & blank, reason=reason)
    length, size = TEXT.str.len_chars().fill_null(0), TEXT.str.len_bytes().fill_null(0)
    if config.min_chars:
        limit = _limit(config.min_chars)
        reason = pl.format("{} has {}, fewer than {}", _FIELD, _characters(length), limit)
        short = size < _MOST_BYTES * limit
        yield Refusal(rule="min_chars", may_be_bad=short, is_bad=must & (length < limit), reason=reason)
    if config.max_chars:
        limit = _limit(config.max_chars)
        reason = pl.format("{} has {}, more than {}", _FIELD, _characters(length), limit)
        is_bad = pl.col("is_prose") & (length > limit)
        yield Refusal(rule="max_chars", may_be_bad=size > limit, is_bad=is_bad, reason=reason)


def _characters(length: pl.Expr) -> pl.Expr:
    return pl.format("{} character{}", length, pl.when(length == 1).then(pl.lit("")).otherwise(pl.lit("s")))


def _limit(limits: dict[str, int]) -> pl.Expr:
    """Return the limit of a text field; null if it has none."""
    expression = pl.lit(limits.get(_EVERY), dtype=pl.UInt32)
    for field, limit in limits.items():
        if field != _EVERY:
            expression = pl.when(field == _FIELD).then(pl.lit(limit, dtype=pl.UInt32)).otherwise(expression)
    return expression


def _without_html() -> pl.Expr:
    """Return the text without tags and comments, its entities as the characters they name.

    A text without any is left as it is, white space included.
    """
    return TEXT.map_batches(_plain_texts, return_dtype=pl.String, is_elementwise=True)


def _plain_texts(texts: pl.Series) -> pl.Series:
    bare = _changed_if_found(texts, BARE, without_bare_tags)
    bare = bare.str.replace_all(DROPPED, "").str.replace_all(BREAKS, "\n").str.replace_all(TAGS, "")
    tidy = bare.str.replace_all(r"[ \t]+\n", "\n").str.replace_all(r"\n{3,}", "\n\n").str.strip_chars()
    return _changed_if_found(tidy.zip_with((bare != texts).fill_null(False), texts), _ENTITY, html.unescape)


def _changed_if_found(texts: pl.Series, pattern: str, change: Callable[[str], str]) -> pl.Series:
    """Return the texts, those changed that have the pattern."""
    rows = texts.str.contains(pattern).fill_null(False).arg_true()
    return texts.clone().scatter(rows, list(map(change, texts.gather(rows)))) if len(rows) else texts
