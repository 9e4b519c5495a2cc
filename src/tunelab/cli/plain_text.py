"""What the commands print with that need no table and no colour. Imports neither typer nor rich, which take a while."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tunelab.errors import UserError

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return text of data or models without control characters, which could move the cursor or rewrite the screen.

    Nor with marks that turn the direction of what follows, which could show it in another order. What has no bytes in
    UTF-8, such as a part of a file name that is none, is shown as its escape.
    """
    return _UNSAFE.sub("", text.encode(errors="backslashreplace").decode())


def print_document(text: str) -> None:
    """Print a document that programs read (JSON, YAML): in UTF-8, whatever the terminal's encoding is."""
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    print(text, end="" if text.endswith("\n") else "\n")


def named(path: Path) -> str:
    """Return a path as a user would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def this_command() -> str:
    """Return what a user types to run tunelab again: its name where it is on the PATH, else its path or python's."""
    if shutil.which("tunelab"):
        return "tunelab"
    program = Path(sys.argv[0]).absolute()
    if program.name == "modellab":  # which knows ModelLab's own lines alone
        program = program.with_name("tunelab")
    return f"{named(Path(sys.executable))} -m tunelab" if program.name == "__main__.py" else named(program)


def print_error(error: UserError) -> None:
    """Print the one message of an error that the user can fix, on standard error."""
    print(f"tunelab: {harmless(str(error))}", file=sys.stderr)
