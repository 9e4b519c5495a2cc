"""Each pain that is answered has a test with its number, and the page on troubleshooting has a section for each."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
ANSWERED = {*range(1, 14), *range(16, 25), 27, 29, 31}


def pain_tests() -> dict[str, set[int]]:
    """Return the name of each test that guards against a pain, with the numbers in it (`test_pain_05_and_06_…`)."""
    names = [
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *def (test_pain_\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    numbers = (re.match(r"test_pain_((?:\d\d_(?:and_)?)+)", name) for name in names)
    return {
        name: {int(digits) for digits in re.findall(r"\d\d", found[1])}
        for name, found in zip(names, numbers, strict=True)
        if found
    }


def sections() -> dict[int, str]:
    """Return number -> text of each numbered section of the page."""
    parts = re.split(r"^### (\d+)\. ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(parts[1::2]) == len(set(parts[1::2]))
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_every_pain_that_is_answered_has_a_test_with_its_number() -> None:
    found = set().union(*pain_tests().values())
    assert sorted(ANSWERED - found) == []


def test_every_test_that_speaks_of_a_pain_says_which() -> None:
    named = [
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *def (test_pain\w*)\(", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert sorted(set(named) - set(pain_tests())) == []


def test_the_page_answers_every_pain_once() -> None:
    assert sorted(sections()) == list(range(1, 32))


def test_a_section_says_what_one_sees_and_what_to_do() -> None:
    parts = {number: ["**You see**" in text, "**Do:**" in text] for number, text in sections().items()}
    assert [number for number, found in parts.items() if not all(found)] == []


def test_a_pain_without_a_test_is_called_not_yet_answered() -> None:
    not_yet = {number for number, text in sections().items() if re.search(r"\byet\b", text)}
    assert not_yet == set(sections()) - ANSWERED
