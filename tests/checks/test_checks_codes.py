"""Each finding has one code: known to `checks.ignore`, explained on docs/check.md."""

import ast
import re
from pathlib import Path

import pytest
from check_contexts import chat, chats, context

import tunelab.checks
from tunelab.checks.check import check
from tunelab.checks.codes import CODES
from tunelab.checks.config import ChecksConfig
from tunelab.errors import RecipeError
from tunelab.recipes import resolve_recipe

ROOM = Path(tunelab.checks.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "check.md"


def codes_of_the_room() -> set[str]:
    """Return every text that looks like a code and is written as one: `code="…"`, or in a table of checks."""
    found: set[str] = set()
    for file in (ROOM / "rules").glob("*.py"):
        texts = {node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)}
        found |= {text for text in texts if isinstance(text, str) and text in CODES}
        found |= set(re.findall(r'code="(\w+)"', file.read_text()))
    return found


def test_every_code_is_known_and_every_known_code_is_used() -> None:
    assert codes_of_the_room() == set(CODES)
    assert len(CODES) == len(set(CODES)) > 30


def test_the_page_explains_every_code_once() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## Findings")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [code for row in rows for code in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(CODES)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ('checks.ignore={"dublicates": "on purpose"}', 'names "dublicates".*Did you mean "duplicates"'),
        ('checks.ignore={"duplicates": " "}', "no reason for duplicates"),
        ("checks.fail_on=warnings", "warning"),
    ],
)
def test_an_ignored_finding_needs_a_known_code_and_a_reason(setting: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        resolve_recipe(None, overrides=[setting], environment={})


@pytest.mark.parametrize(("fail_on", "stops"), [("error", 0), ("warning", 0), ("note", 1), ("never", 0)])
def test_fail_on_is_the_lowest_severity_that_stops(fail_on: str, stops: int) -> None:
    config = ChecksConfig(fail_on=fail_on)  # type: ignore[arg-type]
    found = check(context(train=[*chats(20), chat(21, prompt="question 3")], config=config))
    assert found.codes() == ("duplicates",)
    assert len(found.blocking) == stops


def test_never_lets_even_an_error_pass() -> None:
    config = ChecksConfig(fail_on="never")
    found = check(context(train=chats(2), config=config))
    assert (found.codes(), len(found.blocking)) == (("too_few_rows",), 0)
