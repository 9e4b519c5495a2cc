"""A raw row and the place it came from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where something was read; prints as ``train.jsonl:214``."""

    path: str
    """The file as the user named it, or relative to the data folder."""
    line: int
    """1-based line of text files (the line on which an element of a JSON array opens); row number of parquet."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record as it is in its file, nothing added and nothing dropped."""

    value: dict[str, object] | str
    """An object of named fields, or the text itself for plain text."""
    origin: Origin
