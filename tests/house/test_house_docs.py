"""The pages tell the truth: their code runs, their commands parse, their settings and links exist."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
import rich
import typer
from ruamel.yaml import YAML

from tiny_model import save_tiny_model
from tunelab.adapters.kinds import KINDS
from tunelab.cli.main import VERBS
from tunelab.conversations import ConversationConfig, read_conversations
from tunelab.evaluation.variants.swap_lists import read_swap_lists
from tunelab.flows.evaluating.suite import read_suite
from tunelab.flows.gate import read_gates
from tunelab.flows.rate import read_rubric
from tunelab.recipes import resolve_recipe
from tunelab.recipes.recipe import FIELDS, SECTIONS
from tunelab.sources import SourceConfig, locate_data, read_rows

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)[^\n`]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FOREIGN_OPTIONS = {"--version", "--help"}


def blocks(page: Path, language: str) -> list[str]:
    return [body for name, body in FENCE.findall(page.read_text(encoding="utf-8")) if name == language]


def commands(page: Path) -> Iterator[str]:
    """Yield each command that a page shows: in fenced or indented blocks, and between backticks."""
    text = page.read_text(encoding="utf-8")
    for language, body in FENCE.findall(text):
        if language in ("", "sh"):
            yield from re.findall(r"^(?:\$ )?(tunelab .+)$", body, re.MULTILINE)
    yield from re.findall(r"^ {4}(tunelab .+)$", text, re.MULTILINE)
    yield from re.findall(r"`(tunelab [^`]+)`", text)


def click_command(verb: str) -> click.Command:
    command = import_module(f"tunelab.cli.{verb}").command
    if isinstance(command, typer.Typer):
        return typer.main.get_command(command)
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return typer.main.get_command(app)


def options(command: click.Command) -> set[str]:
    own = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    return own.union(*(options(each) for each in getattr(command, "commands", {}).values()), FOREIGN_OPTIONS)


ids = [page.relative_to(ROOT).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_command_on_a_page_is_one_and_takes_the_options_shown(page: Path) -> None:
    for line in commands(page):
        verb = line.split()[1]
        if verb.isupper() or verb.startswith("-"):
            continue
        assert verb in VERBS, line
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", line)) <= options(click_command(verb)), line


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_option_between_backticks_belongs_to_some_command(page: Path) -> None:
    known = set().union(*(options(click_command(verb)) for verb in VERBS))
    named = set(re.findall(r"`(--[a-z][a-z-]*)", page.read_text(encoding="utf-8")))
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_setting_on_a_page_exists(page: Path) -> None:
    sections = "|".join(sorted(SECTIONS, key=len, reverse=True)).replace(".", r"\.")
    named = set(re.findall(rf"(?<![\w./])((?:{sections})\.[a-z]\w+)", page.read_text(encoding="utf-8")))
    assert {
        name for name in named if name not in FIELDS and name not in SECTIONS and not name.endswith(_FILE_ENDINGS)
    } == set()


_FILE_ENDINGS = (".json", ".jsonl", ".yaml", ".md", ".html", ".py", ".gguf")


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_of_a_page_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    lost = []
    for link, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", without_code(page)):
        target = page.parent / link if link else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(f"{link}#{anchor}")
    assert lost == []


def without_code(page: Path) -> str:
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """Return the name of each heading, as both the site and a viewer of Markdown make it, and of each explicit one."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = (re.sub(r"[^\w\s-]", "", line.lower()) for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE))
    explicit = re.findall(r"\{ ?#([\w-]+)", text) + re.findall(r'id="([\w-]+)"', text)
    return {re.sub(r"\s+", "-", name.strip()) for name in headings} | set(explicit)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_recipe_and_file_of_gates_on_a_page_is_one(page: Path, tmp_path: Path) -> None:
    for number, body in enumerate(blocks(page, "yaml")):
        content = YAML(typ="safe", pure=True).load(body)
        file = tmp_path / f"file_{number}.yaml"
        file.write_text(body, encoding="utf-8")
        assert read_as(content, file)


def read_as(content: dict[str, Any], file: Path) -> object:
    """Return what a YAML block of a page is read as, by the key that only this kind of file has."""
    if "criteria" in content:
        return read_rubric(file)
    if "gates" in content:
        return read_gates(file)
    if "swaps" in content:
        return read_swap_lists(file)
    if {"tasks", "robustness", "judge"} & set(content):
        return read_suite(file)
    return resolve_recipe(file, environment={}).recipe


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "models" / "mine")
    rows = [{"prompt": f"question {number}", "completion": "an answer"} for number in range(12)]
    Path("train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = locate_data(SourceConfig(train_files=("train.jsonl",)), base=tmp_path)
    conversations = read_conversations(read_rows(files.train), ConversationConfig(), base=tmp_path)
    names: dict[str, object] = {"conversations": conversations, "rich": rich}
    for body in blocks(page, "python"):
        exec(compile(body, str(page), "exec"), names)  # our own pages


def test_the_pages_show_code_recipes_and_commands() -> None:
    assert sum(len(blocks(page, "python")) for page in PAGES) >= 2
    assert sum(len(blocks(page, "yaml")) for page in PAGES) >= 3
    assert sum(1 for page in PAGES for _ in commands(page)) >= 20


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    named = {(index.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+\.md)", index.read_text("utf-8"))}
    assert [page for page in PAGES[2:] if page not in {*named, index}] == []


def test_a_page_written_by_hand_is_no_longer_than_two_hundred_lines() -> None:
    made = {ROOT / "docs" / "reference", ROOT / "docs" / "from"}
    pages = [page for page in PAGES if page.parent not in made and page.name != "experiments.md"]
    assert {page.name: size for page in pages if (size := len(page.read_text("utf-8").splitlines())) > 200} == {}


def test_the_table_of_adapters_is_the_list_of_kinds() -> None:
    page = (ROOT / "docs" / "concepts" / "adapters.md").read_text(encoding="utf-8")
    lines = [f"| `{each.section}` | {str(each.config.__doc__).rstrip('.')} | `{each.peft_type}` |" for each in KINDS]
    assert "|---|---|---|\n" + "\n".join(lines) + "\n\n" in page
