"""The rules on text, each written once: an expression over the frame of text fields."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from tunelab.cleaning.config import CleaningConfig
from tunelab.texts.quality import PATTERNS

TEXT = pl.col("text")
_FIELD = pl.col("field")
_EVERY = "*"
_MOST_BYTES = 4
"""Of a character, in UTF-8."""

_DROPPED_ELEMENTS = r"(?is)<(script|style)\b[^>]*>.*?</(?:script|style)\s*>|<!--.*?-->|<!doctype[^>]*>"
_BREAKS = r"(?i)<br\s*/?>|</(?:p|div|li|tr|h[1-6]|ul|ol|table|blockquote)\s*>"
_TAGS = r"(?i)</?(?:{})\b(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>".format(
    "a|abbr|address|article|aside|audio|b|big|blockquote|body|button|caption|center|cite|code|col|colgroup|dd|del|dfn"
    "|div|dl|dt|em|embed|fieldset|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins"
    "|kbd|label|legend|li|link|main|map|mark|meta|nav|noscript|object|ol|optgroup|option|p|param|picture|pre|q|s|samp"
    "|section|select|small|source|span|strike|strong|sub|sup|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|tt|u"
    "|ul|var|video|wbr"
)
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

    Only known elements are tags: `a < b`, `<unk>` and generics of a programming language stay. A text without any is
    left as it is, white space included.
    """
    bare = TEXT.str.replace_all(_DROPPED_ELEMENTS, "").str.replace_all(_BREAKS, "\n").str.replace_all(_TAGS, "")
    has_tags = TEXT.str.contains(rf"{_DROPPED_ELEMENTS}|{_BREAKS}|{_TAGS}")
    tidy = bare.str.replace_all(r"[ \t]+\n", "\n").str.replace_all(r"\n{3,}", "\n\n").str.strip_chars()
    text = pl.when(has_tags).then(tidy).otherwise(TEXT)
    return (
        pl.when(text.str.contains(_ENTITY)).then(text.map_elements(_unescaped, return_dtype=pl.String)).otherwise(text)
    )


def _unescaped(text: str) -> str:
    import html

    return html.unescape(text)
