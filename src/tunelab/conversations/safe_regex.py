"""Regular expressions of users: matched in time that grows with the text and no faster, whatever the pattern is.

Python's own engine can take longer than a life for `(a+)+b`; the one that polars brings (Rust's regex) cannot. It knows
no look-around and no back-references.
"""

import re
from collections.abc import Sequence


def refuse_bad_pattern(pattern: str) -> None:
    """Raise a ValueError that names the fault of a pattern and its place."""
    import polars as pl  # a tenth of a second that only patterns cost

    try:
        re.compile(pattern)
    except re.error as error:
        at = "" if error.pos is None else f" at character {error.pos + 1}"
        raise ValueError(f"is no regular expression: {error.msg}{at}") from None
    except (RecursionError, OverflowError) as error:
        raise ValueError(f"is no regular expression: {error}") from None
    try:
        first_matches(pattern, [""])
    except pl.exceptions.ComputeError as error:
        lines = str(error).splitlines()
        fault = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), lines[0])
        raise ValueError(f"is a regular expression that is not matched in bounded time: {fault}") from None


def first_matches(pattern: str, texts: Sequence[str]) -> list[str | None]:
    """Return what the first group of a pattern, or the whole of one without groups, matches first in each text.

    One call costs as much as five hundred texts: hand over many.
    """
    import polars as pl

    return pl.Series(texts, dtype=pl.String).str.extract(pattern, min(re.compile(pattern).groups, 1)).to_list()
