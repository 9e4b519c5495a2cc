"""Write the pages that are made from the code: `make docs-reference`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from reference.commands import commands_page
from reference.findings import findings_page
from reference.other_tools import with_tables
from reference.settings import settings_page

PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "findings.md": findings_page,
    "settings.md": settings_page,
}
"""The name of each page of the folder, and what makes it."""


def main() -> None:
    """Write all of them into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the pages")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")
    for file in (folder.parent / "from").glob("*.md"):
        file.write_text(with_tables(file.read_text(encoding="utf-8"), file.stem), encoding="utf-8")


if __name__ == "__main__":
    main()
