"""Pages, messages and docstrings use the word that a user of TRL or transformers would search for, one for one thing.

The list is short on purpose: words that the field does not use for what we mean, and no word that has a good use.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tunelab

ROOT = Path(__file__).parents[2]
SOURCE = Path(tunelab.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

INSTEAD = {
    r"mend(s|ed|ing)?": "fix",
    r"wants?": "requires, needs, expects",
    r"wish(es)?": "requested target, asks for",
    r"told": "reported, said",
    r"beside": "next to",
    r"behind": "after",
    r"(stands?|stood)(?! (for|out)\b)": "is, lies",
    r"dealt|grove": "split over ranks, step plan",
    r"(test|training) side": "held-out rows, training rows",
    r"course of the (loss|learning rate)": "loss by step, learning-rate schedule",
}
NOT_OURS = re.compile("|".join(rf"\b(?P<w{number}>{word})\b" for number, word in enumerate(INSTEAD)), re.IGNORECASE)
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def faults(text: str) -> list[str]:
    """Return each word of a text that is on the list, with the one to write."""
    better = list(INSTEAD.values())
    return [f'"{found[0]}": write {better[int(str(found.lastgroup)[1:])]}' for found in NOT_OURS.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_uses_the_words_of_the_field(page: Path) -> None:
    lines = CODE.sub(lambda code: "\n" * code[0].count("\n"), page.read_text(encoding="utf-8")).splitlines()
    assert [f"line {number}: {fault}" for number, line in enumerate(lines, 1) for fault in faults(line)] == []


def test_messages_help_and_docstrings_use_the_words_of_the_field() -> None:
    assert list(source_faults()) == []


def source_faults() -> Iterator[str]:
    """Yield each fault in a text constant (messages, help, docstrings) or a template of the source, with its place."""
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                text = CODE.sub("", node.value)
                yield from (f"{file.relative_to(SOURCE)}:{node.lineno}: {fault}" for fault in faults(text))
    for template in [*sorted(SOURCE.rglob("*.jinja")), *sorted(SOURCE.rglob("*.md"))]:
        for fault in faults(CODE.sub("", template.read_text(encoding="utf-8"))):
            yield f"{template.relative_to(SOURCE)}: {fault}"


def test_the_list_finds_its_own_words_and_spares_others() -> None:
    assert len(faults("A row stands behind one that was mended; the rest is told.")) == 4
    assert faults("The star stands for every field; nothing stands out. It is fixed, and reported next to it.") == []
