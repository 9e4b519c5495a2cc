"""A form is read from its file strictly: every shape that ModelLab wrote, and nothing that would not be enforced."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tunelab.adapters.kinds import KINDS
from tunelab.cli.main import run
from tunelab.errors import RecipeError
from tunelab.recipes.forms import Field, RecipeForm, form_of, form_text, read_form

OLDER = """\
[
  {
    "groupId": "data_configs",
    "title": "Data settings",
    "fields": [
      {
        "type": "String",
        "isArray": true,
        "label": "Text columns:",
        "info": "Columns of the data set.",
        "replaceToken": "<text_cols>",
        "defaultValue": [ "phrase", "tone" ],
        "learnMore": "https://example.org/columns"
      },
      {"type": "Integer", "label": "Held-out rows", "replaceToken": "<eval_dataset_size>", "defaultValue": 0.3},
      {"type": "String", "label": "Checkpointing", "replaceToken": "<gradient_checkpointing>", "defaultValue": false},
      {"type": "String", "replaceToken": "<files>", "optionValues": [], "defaultValue": "", "fileName": "train.json"}
    ]
  }
]
"""
NEWER = """\
[
    {
        "groupId": "advanced",
        "title": "Advanced",
        "collapsible": true,
        "collapsed": true,
        "togglePath": "compare_enabled",
        "fields": [
            {"type": "Number", "id": "max_grad_norm", "min": 1e-8, "hintMessage": "Above 0.", "required": true},
            {"type": "Integer", "replaceToken": "finetune_train_seqlen", "optionValues": [512, 1024]},
            {"type": "String", "label": "Data", "fileName": "train.json", "savePath": "dataset", "sample": "{}"},
            {"type": "Integer", "id": "eval_accumulation_steps", "defaultValue": null, "min": null}
        ]
    }
]
"""


def _form(folder: Path, text: str) -> RecipeForm:
    (folder / "lora.yaml.config").write_bytes(text.encode())
    return read_form(folder / "lora.yaml.config")


def _with_field(**field: Any) -> str:
    said = {"type": "Number", "id": "epochs"} | field
    return json.dumps([{"groupId": "data", "fields": [{k: v for k, v in said.items() if v is not ...}]}], indent=1)


@pytest.mark.parametrize("method", [kind.section for kind in KINDS])
def test_a_form_that_was_made_reads_back_as_an_equal_one(tmp_path: Path, method: str) -> None:
    form = form_of(method)
    read = _form(tmp_path, form_text(method))
    assert read.groups == form.groups
    assert read.text() == form.text()


@pytest.mark.parametrize("text", [OLDER, NEWER])
def test_forms_of_modellab_are_read_whole_and_keep_their_meaning(tmp_path: Path, text: str) -> None:
    read = _form(tmp_path, text)
    assert _form(tmp_path, read.text()).groups == read.groups
    said = {
        key for group in json.loads(text) for field in group["fields"] for key in field if field[key] not in (None, [])
    }
    kept = {key for group in json.loads(read.text()) for field in group["fields"] for key in field}
    assert said <= kept


def test_every_shape_of_a_field_arrives(tmp_path: Path) -> None:
    columns, size, checkpointing, files = _form(tmp_path, OLDER).fields()
    assert (columns.is_array, columns.default, columns.key) == (True, ["phrase", "tone"], "text_cols")
    assert columns.learn_more == "https://example.org/columns"
    assert (size.default, checkpointing.default, files.options) == (0.3, False, ())
    form = _form(tmp_path, "\ufeff" + NEWER.replace("\n", "\r\n"))
    norm, length, data, steps = form.fields()
    assert (norm.min, norm.max, norm.hint, norm.required, norm.key) == (1e-8, None, "Above 0.", True, "max_grad_norm")
    assert (length.token, length.key, length.options) == ("finetune_train_seqlen", "finetune_train_seqlen", (512, 1024))
    assert (data.key, data.file_name, data.save_path, data.sample) == ("", "train.json", "dataset", "{}")
    assert (steps.min, steps.default) == (None, None)
    (group,) = form.groups
    assert (group.collapsible, group.collapsed, group.toggle, group.title) == (
        True,
        True,
        "compare_enabled",
        "Advanced",
    )


def test_each_key_of_a_field_knows_its_line(tmp_path: Path) -> None:
    columns, size, *_ = _form(tmp_path, OLDER).fields()
    assert columns.lines == {
        "type": 7,
        "isArray": 8,
        "label": 9,
        "info": 10,
        "replaceToken": 11,
        "defaultValue": 12,
        "learnMore": 13,
    }
    assert set(size.lines.values()) == {15}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_with_field(min=3, max=2), r":8: min 3 is above max 2; expected a min of at most max"),
        (_with_field(type="Float"), r':6: the type is "Float"; expected one of String, Integer, Number, Boolean'),
        (_with_field(type=...), r":5: a field has no type"),
        (_with_field(type="String", min=1), r":8: a field of type String has a min"),
        (_with_field(min="1"), r":8: min is text; expected a number"),
        (_with_field(max=True), r":8: max is true or false; expected a number"),
        (_with_field(required="yes"), r":8: required is text; expected true or false"),
        (_with_field(maximum=3), r':8: a field has no "maximum". Did you mean "max"\?'),
        (_with_field(replaceToken="<epochs>"), r":8: a field has both id and replaceToken; expected one of them"),
        (_with_field(optionValues="a"), r":8: optionValues is text; expected a list of texts and numbers"),
        (_with_field(optionValues=[[1]]), r":8: optionValues is a list; expected a list of texts and numbers"),
        (_with_field(id=3), r":7: id is a number; expected text"),
        ('[{"groupId": "a",\n "fields": [3]}]', r":2: this is a number; expected a field"),
        ('[{"groupId": "a",\n "fields": {}}]', r":2: fields is an object; expected a list"),
        ('[\n{"groupId": "a"}]', r":2: there are no fields; expected a list of fields"),
        ('[\n{"fields": []}]', r":2: a group has no groupId"),
        (
            '[{"groupId": "a", "fields": [],\n "toggle": "x"}]',
            r':2: a group has no "toggle". Did you mean "togglePath"\?',
        ),
        ("[\n3]", r":2: this is a number; expected a group"),
        ("{}", r":1: this is an object; expected a list of groups"),
        ('[{"groupId": "a",\n "groupId": "b", "fields": []}]', r'the field "groupId" occurs twice in one object'),
        ("[\n{,}]", r":2: broken JSON at column 2"),
        ("", r":1: broken JSON at column 1"),
        (_with_field(max=float("nan")), r"NaN is no JSON value"),
        ("[" * 5000 + "]" * 5000, r":1: the JSON is nested too deep"),
        (
            "[" + " " * (10 * 2**20) + "]",
            r"the form cannot be read \(larger than 1 MiB\); expected at most 1,024 KiB of JSON",
        ),
    ],
)
def test_what_is_no_form_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=r"lora\.yaml\.config" + (message if message[0] == ":" else f".*{message}")):
        _form(tmp_path, text)


def test_a_form_that_is_no_utf_8_or_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lora.yaml.config").write_bytes(b"[\xff]")
    with pytest.raises(RecipeError, match="the form is not UTF-8"):
        read_form(tmp_path / "lora.yaml.config")
    with pytest.raises(RecipeError, match="the form cannot be read"):
        read_form(tmp_path)


@pytest.mark.parametrize("verb", [["recipe", "explain"], ["check"], ["train"]])
def test_a_broken_form_next_to_a_recipe_ends_every_verb_with_2_and_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    (tmp_path / "lora.yaml").write_text("model: nano\nfinetune_dataset: data\nepochs: 1\n")
    (tmp_path / "lora.yaml.config").write_text(_with_field(min=3, max=2))
    assert run([*verb, str(tmp_path / "lora.yaml")]) == 2
    said = capsys.readouterr()
    assert re.fullmatch(r"tunelab: \S+lora\.yaml\.config:8: min 3 is above max 2[^\n]*\n", said.err)


def test_fields_are_equal_wherever_they_are_written() -> None:
    assert Field(type="String", lines={"type": 3}) == Field(type="String")
