"""The pages of docs/reference are what the code says: settings, commands, findings."""

from importlib import import_module
from pathlib import Path

import pytest
import typer

from reference.commands import commands_page
from reference.findings import findings_page
from reference.settings import settings_page
from reference.write import PAGES
from tunelab.checks.rules import CODES
from tunelab.cli.main import VERBS
from tunelab.recipes.recipe import FIELDS

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "make docs-reference writes it anew"


def test_no_other_page_lies_among_them() -> None:
    assert sorted(page.name for page in FOLDER.glob("*.md")) == sorted([*PAGES, "exit-codes.md"])


def test_every_setting_has_a_row() -> None:
    assert sum(line.startswith("| `") for line in settings_page().splitlines()) == len(FIELDS)


def test_every_finding_has_an_anchor_and_a_row_that_links_to_it() -> None:
    lines = findings_page().splitlines()
    assert [code for code in CODES if lines.count(f"### {code}") != 1] == []
    assert [code for code in CODES if sum(f"| [`{code}`](#{code}) |" in line for line in lines) != 1] == []


def test_every_command_has_its_usage_and_its_options() -> None:
    text = commands_page()
    for verb in VERBS:
        assert f"\n## tunelab {verb}\n" in text
        assert f"\ntunelab {verb} [OPTIONS]" in text
        command = import_module(f"tunelab.cli.{verb}").command
        inner = [each.name for each in command.registered_commands] if isinstance(command, typer.Typer) else []
        assert [name for name in inner if f"\n## tunelab {verb} {name}\n" not in text] == []
    assert text.count("\n- `--") > 50


@pytest.mark.parametrize("columns", ["30", "200"])
def test_the_page_of_commands_is_the_same_at_any_width(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = commands_page()
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERMINAL_WIDTH", columns)
    assert commands_page() == before
