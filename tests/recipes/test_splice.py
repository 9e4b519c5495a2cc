"""A splice changes one value of a file; every other byte is as it was, and the file reads as it should."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tunelab.errors import RecipeError
from tunelab.recipes.splice import splice

YAML_FILE, JSON_FILE = Path("lora.yaml"), Path("finetuning.config.json")

LORA = """\
adam_beta1: !!float 0.9
adam_beta2: !!float 0.95
adam_epsilon: !!float 1E-08
early_stopping_patience: 5
epochs: 1
eval_accumulation_steps: null
eval_delay: 0
eval_steps: 64
evaluation_strategy: "steps"
save_dir: "mount/<run_id>/save_dir"
finetune_dataset: "mount/<run_id>/dataset"
finetune_test_batch_size: 8
finetune_test_nsamples: 128
finetune_test_seqlen: 2048
finetune_train_batch_size: 2
finetune_train_nsamples: 8000
finetune_train_seqlen: 1024
gradient_accumulation_steps: 1
gradient_checkpointing: false
learning_rate: !!float 0.0002
lora_dropout: !!float 0.1
lr_scheduler_type: "linear_with_warmup"
max_grad_norm: 1
model: "Phi-3.6-mini-instruct"
model_path: "model"
num_training_steps: null
num_warmup_steps: 400
save_steps: 64
seed: 42
weight_decay: 0
compare_enabled: false
compare_file: "mount/<run_id>/<compare_file>"
compare_temperature: 0.9
skip_finetune: false
adapter_path: ""
"""
SOFT_PROMPT = """\
model: "Phi-3.6-mini-instruct"
model_path: "model"
save_dir: "mount/<run_id>/save_dir"
finetune_dataset: "mount/<run_id>/dataset"
max_input_size: 2048
init_prompt: "Name topic and mood, in this form: topic=\\"?\\"; mood=\\"?\\";"
number_of_virtual_tokens: 64
learning_rate: !!float 3e-05
early_stopping_patience: 5
epochs: 1
evaluation_strategy: "steps"
eval_steps: 8
save_steps: 64
seed: 42
finetune_train_nsamples: null
finetune_test_nsamples: null
finetune_train_batch_size: 2
finetune_test_batch_size: 2
"""
OTHER: dict[type, Any] = {int: 7, float: 5e-5, str: 'in "other" words: #1', bool: True, type(None): 3}
"""A value that no template has, for one of each kind."""


def _dressed(text: str) -> Iterator[str]:
    """Yield a template as it is, and as people leave it: comments, a byte-order mark, Windows' line ends, no last."""
    yield text
    commented = "# mine\n\n" + re.sub(r"(?m)^(seed|epochs): (\d+)$", r"\1:   \2   # as agreed", text)
    yield "\ufeff" + commented.rstrip("\n").replace("\n", "\r\n")


def _read(text: str) -> dict[str, Any]:
    return dict(YAML(typ="safe", pure=True).load(text.removeprefix("\ufeff")))


@pytest.mark.parametrize("template", [LORA, SOFT_PROMPT])
def test_every_key_of_every_template_is_written_and_no_other_byte_changes(template: str) -> None:
    for text in _dressed(template):
        before, lines = _read(text), text.splitlines(keepends=True)
        for key, old in before.items():
            new = OTHER[type(old)]
            changed = splice(text, key, new, path=YAML_FILE)
            assert _read(changed) == before | {key: new}
            pairs = zip(lines, changed.splitlines(keepends=True), strict=True)
            (was, now), *others = [(was, now) for was, now in pairs if was != now]
            assert not others
            shape = re.fullmatch(rf'({key}: +(?:!!float )?"?)[^"\s]?.*?("?(?: +# as agreed)?\s*)', was)
            assert shape is not None
            assert now.startswith(shape[1])
            assert now.endswith(shape[2])


def test_readers_of_older_yaml_understand_what_is_written() -> None:
    """PyYAML reads 1e-05 as text and yes as true."""
    assert splice("a: 0.1\n", "a", 1e-5, path=YAML_FILE) == "a: 1.0e-05\n"
    for word in ("yes", "no", "On", "null", "12", "1:30", "2020-01-01", "~", "- x", "a: b", "a #b", ""):
        assert splice("a: steps\n", "a", word, path=YAML_FILE) == f"a: {json.dumps(word)}\n"


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("a: 'x'\n", "it's", "a: 'it''s'\n"),
        ("a: 'x'\n", "two\nlines", 'a: "two\\nlines"\n'),
        ("a: steps\n", "epoch", "a: epoch\n"),
        ("a: !!float 1\n", None, "a: null\n"),  # the tag does not fit
        ("a: !!float 1\n", 3, "a: !!float 3\n"),
        ("a:\n# c\nb: 1\n", 5, "a: 5\n# c\nb: 1\n"),
        ("b: &x 1\na: *x\n", 5, "b: &x 1\na: 5\n"),
        ("a: &x 1\n", 5, "a: &x 5\n"),
        ("a: one\n  two\nb: 1\n", "three", "a: three\nb: 1\n"),
        ('a: "one\n  two" # c\n', "three", 'a: "three" # c\n'),
        ("a: |\n    one\n\n    two\n\n# c\nb: 1\n", "x\n\ny\n", "a: |\n    x\n\n    y\n\n# c\nb: 1\n"),
        ("a: >-\n  one\n  two\nb: 1\n", "x\ny", 'a: "x\\ny"\nb: 1\n'),
        ("a: [q_proj, 'v']\n", ["k_proj", "x y"], "a: [k_proj, x y]\n"),
        ('a: ["q"]\n', ["k"], 'a: ["k"]\n'),
        ("a: 1\n", [1, 2.5, None], "a: [1, 2.5, null]\n"),
        ("a:\r\n  - x\r\n  - y\r\nb: 1\r\n", ["z", "u"], "a:\r\n  - z\r\n  - u\r\nb: 1\r\n"),
        ("a:\n- x\nb: 1\n", [], "a: []\nb: 1\n"),
        ("a:\n- x\nb: 1\n", "z", 'a: "z"\nb: 1\n'),
        ("a: {x: 1}\n", {"y": 2}, 'a: {"y": 2}\n'),
        ("{a: 1, b: [2]}\n", 3, "{a: 3, b: [2]}\n"),
        ('{"b": {}, "a": true}', False, '{"b": {}, "a": false}'),
    ],
)
def test_a_value_is_written_as_the_one_before_it_was(text: str, value: Any, expected: str) -> None:
    assert splice(text, "a", value, path=YAML_FILE) == expected


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("a: 1\n", "b", "a: 1\nb: 0.1\n"),
        ("a: 1", "b", "a: 1\nb: 0.1"),
        ("a: 1\r\n# end\r\n", "b", "a: 1\r\n# end\r\nb: 0.1\r\n"),
        ("---\na: 1\n...\n", "b", "---\na: 1\nb: 0.1\n...\n"),
        ("", "b", "b: 0.1\n"),
        ("# nothing yet\n", "b", "# nothing yet\nb: 0.1\n"),
        ("a:\n    x: 1 # c\n\n# next\nz: 1\n", "a.b", "a:\n    x: 1 # c\n    b: 0.1\n\n# next\nz: 1\n"),
        ("a:\n    x: 1\n", "b.c.d", "a:\n    x: 1\nb:\n    c:\n        d: 0.1\n"),
        ("a:\n  x: |\n    text\n\nz: 1\n", "a.b", "a:\n  x: |\n    text\n  b: 0.1\n\nz: 1\n"),
        ("a:\n  x:\n# c\nz: 1\n", "a.b", "a:\n  x:\n  b: 0.1\n# c\nz: 1\n"),
        ("a:\n  x:\n    - 1\nz: 1\n", "a.b", "a:\n  x:\n    - 1\n  b: 0.1\nz: 1\n"),
        ("a:\nz: 1\n", "a.b", "a: {b: 0.1}\nz: 1\n"),
        ("a: {}\n", "a.b", "a: {b: 0.1}\n"),
        ("a: {x: 1} # c\n", "a.b", "a: {x: 1, b: 0.1} # c\n"),
        ('{\n  "a": 1\n}\n', "b", '{\n  "a": 1,\n  "b": 0.1\n}\n'),
    ],
)
def test_a_key_that_is_not_there_is_added_as_the_file_writes_its_own(text: str, key: str, expected: str) -> None:
    assert splice(text, key, 0.1, path=YAML_FILE) == expected


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("a: &x 1\nb: *x\n", "a", "a cannot be changed without changing something else"),
        ("d: &d\n  a: 1\ne: *d\n", "e.a", "e.a cannot be changed without changing something else"),
        ("a:\n- x # why\n- y\n", "a", "a cannot be changed without changing something else"),
        ("a: [1, # why\n  2]\n", "a", "a cannot be changed without changing something else"),
        ("{a}\n", "a", "a cannot be changed without changing something else"),
        ("a: 1\na: 2\n", "a", 'lora.yaml:2: a second value for the key "a"'),
        ("b:\n  <<: {a: 1}\n", "b.a", "lora.yaml:2: merges"),
        ("a: 5\n", "a.b", "there is no mapping to hold b"),
        ("- 1\n", "a", "there is no mapping to hold a"),
        ("a: [1\n", "a", "lora.yaml:2: this is not YAML"),
    ],
)
def test_what_cannot_be_changed_alone_is_refused(text: str, key: str, message: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(message)):
        splice(text, key, 3, path=YAML_FILE)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], "\ud800"])
def test_a_value_that_no_file_can_hold_is_refused(value: Any) -> None:
    with pytest.raises(RecipeError, match=r"^a (is|holds)"):
        splice("a: 1\n", "a", value, path=YAML_FILE)


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ('{"a": null}', "a", '{"a": "x"}'),
        ('{"a": 1}\n', "b", '{"a": 1, "b": "x"}\n'),
        (
            '{\r\n\t"a": 1,\r\n\t"b" : [1, {"c": 2}]\r\n}',
            "d",
            '{\r\n\t"a": 1,\r\n\t"b" : [1, {"c": 2}],\r\n\t"d" : "x"\r\n}',
        ),
        (
            '{"p": {"t": {"value": 1}, "u": {"value": 2}}}',
            "p.u.value",
            '{"p": {"t": {"value": 1}, "u": {"value": "x"}}}',
        ),
        ("{}", "a.b", '{"a": {"b": "x"}}'),
        ('{"a": null}', "a.b", '{"a": {"b": "x"}}'),
        ('\ufeff{"a\\"}": [], "a": "}"}', "a", '\ufeff{"a\\"}": [], "a": "x"}'),
    ],
)
def test_json_keeps_its_white_space(text: str, key: str, expected: str) -> None:
    assert splice(text, key, "x", path=JSON_FILE) == expected


def test_broken_json_and_what_is_no_object_are_refused_with_the_line() -> None:
    with pytest.raises(RecipeError, match=r"config.json:2: broken JSON"):
        splice('{"a": 1,\n}', "a", 1, path=JSON_FILE)
    with pytest.raises(RecipeError, match="no mapping"):
        splice("[1]", "a", 1, path=JSON_FILE)


WORDS = st.one_of(
    st.sampled_from(["no", "a b", "x: y", "#", "'", '"', "", "é😀", "a\nb\n", "\t", " x "]), st.text(max_size=8)
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),
    WORDS,
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3))
KEYS = st.sampled_from(["seed", "epochs", "lora_r", "a b", "é"])


@st.composite
def _files(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a file with sections and what it holds, in many styles."""
    content: dict[str, Any] = {}
    lines: list[str] = []
    for section in draw(st.lists(st.sampled_from(["data", "lora", "training"]), max_size=3, unique=True)):
        pairs = draw(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
        content[section] = pairs
        lines += [f"{section}:", *(f"  {key}: {_styled(draw, value)}{_tail(draw)}" for key, value in pairs.items())]
    for key, value in draw(st.dictionaries(KEYS, VALUES, max_size=3)).items():
        content[key] = value
        lines += [f"{key}: {_styled(draw, value)}{_tail(draw)}"]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    last = draw(st.sampled_from(["", end]))
    return draw(st.sampled_from(["", "\ufeff"])) + end.join(lines) + last, content


def _styled(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, str) and re.fullmatch("[a-d]+", value) and draw(st.booleans()):
        return value
    if isinstance(value, str) and value.isprintable() and draw(st.booleans()):
        return "'" + value.replace("'", "''") + "'"
    written = re.sub(r"[^ -~]", lambda char: f"\\U{ord(char[0]):08x}", json.dumps(value, ensure_ascii=False))
    return f"!!float {written}" if type(value) is float and draw(st.booleans()) else written


def _tail(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(["", " # why", "   "]))


@given(_files(), st.sampled_from(["", "data", "lora", "other"]), KEYS, VALUES)
def test_any_value_of_any_file_is_replaced_alone(
    file: tuple[str, dict[str, Any]], section: str, key: str, value: Any
) -> None:
    text, content = file
    changed = splice(text, f"{section}.{key}" if section else key, value, path=YAML_FILE)
    home = content.get(section, {}) if section else content
    expected = content | ({section: home | {key: value}} if section else {key: value})
    assert (_read(changed) if changed.strip("\ufeff") else {}) == expected
    same = 0
    while same < min(len(text), len(changed)) and text[same] == changed[same]:
        same += 1
    tail = 0
    while tail < min(len(text), len(changed)) - same and text[-1 - tail] == changed[-1 - tail]:
        tail += 1
    replaced = text[same : len(text) - tail]
    assert "#" not in replaced or "#" in str(home[key])
    assert replaced.count("\n") == 0
