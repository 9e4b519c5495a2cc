"""The JSON document of `check` is what its published schema says."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from flows_files import row, rows, write_recipe, write_rows
from tunelab.checks.report.document import json_schema
from tunelab.cli.main import run

SCHEMA = Path(__file__).parents[2] / "docs" / "check.schema.json"


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    run(["check", *arguments, "--json"])
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def test_the_published_schema_is_what_the_records_make(capsys: pytest.CaptureFixture[str]) -> None:
    assert SCHEMA.read_text(encoding="utf-8") == json_schema()
    assert run(["check", "--json-schema"]) == 0
    assert capsys.readouterr().out == json_schema()


def test_every_field_that_is_not_plain_by_its_name_is_described() -> None:
    definitions = json.loads(json_schema())["$defs"]
    assert len(definitions) > 10
    fields = [entry for each in definitions.values() for entry in each["properties"].values()]
    described = [entry for entry in fields if "description" in entry]
    assert len(described) > 50


@pytest.mark.parametrize("given", ["data", "recipe", "faults"])
def test_real_output_is_valid_and_a_changed_one_is_not(
    given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": "{}"}}]}
    talk = {"messages": [{"role": "user", "content": "is it there?"}, call]}
    lines = [
        *rows(12),
        row("same"),
        row("same"),
        talk,
        *(["{", row("tell me", "a lamp " * 900)] if given == "faults" else []),
    ]
    file = write_rows(tmp_path / "train.jsonl", lines)  # type: ignore[arg-type]
    recipe = write_recipe(tmp_path, "data: {train_files: train.jsonl}\n")
    found = document(capsys, str(recipe if given == "recipe" else file), "--show", "20")
    validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
    assert [error.message for error in validator.iter_errors(found)] == []
    assert found["blocks"] is (given == "faults")
    assert (found["planned_model"] is not None) is (given == "recipe")
    assert found["findings"]
    assert any(message["calls"] == [["look", "{}"]] for example in found["examples"] for message in example["messages"])
    assert not validator.is_valid(found | {"surprise": 1})
    assert not validator.is_valid({key: value for key, value in found.items() if key != "findings"})
