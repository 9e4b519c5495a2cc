"""Each finding has one code: known to `checks.ignore`, raised by the rule that declares it."""

import ast
from importlib import import_module
from pathlib import Path

import pytest
from check_contexts import chat, chats, context

import tunelab.checks.rules
from tunelab.checks.check import check
from tunelab.checks.config import ChecksConfig
from tunelab.checks.rule import Rule, rule
from tunelab.checks.rules import CODES, RULES, conversations
from tunelab.errors import RecipeError
from tunelab.recipes import resolve_recipe

FILES = [file for file in sorted(Path(tunelab.checks.rules.__file__).parent.glob("*.py")) if file.stem != "__init__"]


def rules_of(file: Path) -> list[Rule]:
    """Return the rules that a file of the folder defines."""
    module = import_module(f"{tunelab.checks.rules.__name__}.{file.stem}")
    return [each for each in vars(module).values() if isinstance(each, Rule)]


def codes_written_in(file: Path) -> set[str]:
    """Return every text of a file that is a code or stands as one, `code="…"`; what a decorator declares aside."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    keywords = [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "code"]
    named = {each.value.value for each in keywords if isinstance(each.value, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and (text in CODES or text in named)}


def test_the_list_holds_every_rule_of_the_folder_once() -> None:
    found = [rule for file in FILES for rule in rules_of(file)]
    assert len(CODES) == len(set(CODES)) > 30
    assert len(RULES) == len(found) == len({id(rule) for rule in RULES})
    assert {id(rule) for rule in found} == {id(rule) for rule in RULES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_raises_the_codes_that_its_rules_declare_and_no_others(file: Path) -> None:
    assert codes_written_in(file) == {code for rule in rules_of(file) for code in rule.codes}


def test_a_finding_under_a_code_that_its_rule_does_not_declare_is_an_error() -> None:
    declared = rule("duplicates")(conversations.too_few_rows.look)
    with pytest.raises(AssertionError, match="too_few_rows is not among the codes"):
        list(declared(context(train=chats(2))))


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
