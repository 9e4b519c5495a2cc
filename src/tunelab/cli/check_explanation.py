"""What `tunelab check --explain CODE` prints: the page of a finding, as a terminal shows it."""

from __future__ import annotations

import re

from tunelab.checks.explanations import explanation
from tunelab.cli.console import say


def print_explanation(code: str) -> None:
    """Print the page of a finding code: headings in bold, its example files indented under their names."""
    in_example = False
    for line in explanation(code).splitlines():
        if line.startswith("```"):
            in_example = not in_example
            if title := re.search(r'title="(.+)"', line):
                say(f"{title[1]}:", style="dim")
        elif in_example:
            say(f"    {line}" if line else "")
        else:
            heading = re.match("#+ ", line)
            say(line.removeprefix(heading[0]) if heading else line, style="bold" if heading else None)
