"""A file of a sweep, read as what it has to hold."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from tunelab.errors import RunError

_Record = TypeVar("_Record")


def read_record(file: Path, kind: type[_Record], *, remedy: str) -> _Record:
    """Return what a file holds.

    Raises:
        RunError: it cannot be read, or holds something else; it says what to do.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunError(f"this file of a sweep cannot be read ({error})", where=str(file), remedy=remedy) from error
