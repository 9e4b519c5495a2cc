"""A raw row and the place it came from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where something was read; prints as ``train.jsonl:214``."""

    path: str
    """The file as the user named it, or relative to the data folder."""
    line: int
    """1-based line of text files; row number of parquet. An element of a JSON array has the line on which it opens, or
    the number after that of the element before it, if that opens on the same line: a file on one line has row numbers.
    """

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record as it is in its file, nothing added and nothing dropped."""

    value: dict[str, object] | str
    """An object of named fields, or the text itself for plain text."""
    origin: Origin
