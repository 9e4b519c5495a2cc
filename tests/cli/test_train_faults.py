"""Bad input gets one message, exit code 2 and no traceback, and nothing that was there is touched."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from forked import Forker
from rendering.small_models import byte_level, save_model
from train_task import only_run, row, rows, tree, write_lines, write_task
from tunelab.cli.main import run as tunelab
from tunelab.events import Found, read_events


@pytest.fixture
def task(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good task, the current one."""
    write_task(tmp_path, tiny_model)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must be refused, and return its message."""
    capsys.readouterr()
    code = tunelab(["train", *arguments])
    out, err = capsys.readouterr()
    assert (code, err.count("\n")) == (2, 1), err
    assert "/runs/" not in out  # a run that never began names no folder
    assert err.startswith("tunelab: ")
    assert "Traceback" not in err
    return err


def line(text: str) -> Callable[[Path], None]:
    """A fault: `text` as the fourth line of the training file."""

    def put(folder: Path) -> None:
        good = [json.dumps(each) for each in rows(24)]
        write_lines(folder / "train.jsonl", [*good[:3], text, *good[3:]])

    return put


def with_data(data: bytes) -> Callable[[Path], None]:
    """A fault: a training file with this content."""

    def put(folder: Path) -> None:
        (folder / "train.jsonl").write_bytes(data)

    return put


def broken_call(arguments: str) -> str:
    """A row whose assistant calls a tool with these arguments."""
    call = {"type": "function", "function": {"name": "find", "arguments": arguments}}
    messages = [{"role": "user", "content": "find it"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    return json.dumps({"messages": messages})


DATA_FAULTS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a missing file": (lambda folder: (folder / "train.jsonl").unlink(), ("train.jsonl", "is no file")),
    "an empty file": (with_data(b""), ("train.jsonl", "empty")),
    "a broken line": (line('{"messages": [{"role": "user"'), ("train.jsonl:4: ",)),
    "a line that is no object": (line("17"), ("train.jsonl:4: ", "object")),
    "NaN": (line('{"messages": [{"role": "user", "content": NaN}]}'), ("train.jsonl:4: ", "NaN")),
    "a wrong type": (line(json.dumps({"messages": "hello"})), ("train.jsonl:4: ", "messages")),
    "an unknown role": (
        line(json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistent", "content": "b"}]})),
        ("train.jsonl:4: ", '"assistent"', 'Did you mean "assistant"?'),
    ),
    "a tool call with broken JSON": (line(broken_call('{"name": ')), ("train.jsonl:4: ", "arguments", "JSON")),
    "a wrong encoding": (with_data("é".encode("latin-1") * 3 + b"\n"), ("train.jsonl", "UTF-8")),
    "UTF-16": (with_data(json.dumps(rows(1)[0]).encode("utf-16")), ("train.jsonl", "UTF-16")),
}


@pytest.mark.parametrize("fault", DATA_FAULTS)
def test_a_fault_of_the_data_names_its_place_and_touches_nothing(
    fault: str, task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = DATA_FAULTS[fault]
    make(task)
    before = tree(task)
    message = refused(capsys, "task.yaml")
    assert [word for word in words if word.lower() not in message.lower()] == []
    (task / "runs").rmdir()
    assert tree(task) == before


def test_a_byte_order_mark_is_no_fault(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = (task / "train.jsonl").read_bytes()
    (task / "train.jsonl").write_bytes(b"\xef\xbb\xbf" + data)
    assert tunelab(["train", "task.yaml", "--set", "training.num_training_steps=1"]) == 0
    assert "24 of the first 24 rows" in capsys.readouterr().out


def test_bad_rows_are_counted_and_listed_when_they_are_skipped_knowingly(
    task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line('{"messages": [')(task)
    assert tunelab(["train", "task.yaml", "--skip-bad-rows", "--set", "training.num_training_steps=1"]) == 0
    captured = capsys.readouterr()
    assert "1 of 31 rows" in captured.out
    assert "train.jsonl:4: " in captured.out
    places = [event.place for event in read_events(only_run(task).events_file) if isinstance(event, Found)]
    assert "train.jsonl:4" in places


RECIPE_FAULTS = {
    "training.learning_rat=0.1": ("learning_rat", 'Did you mean "training.learning_rate"?'),
    "training.learning_rate=7": ("training.learning_rate is 7", "at most 1"),
    "training.num_train_epochs=0": ("training.num_train_epochs is 0", "more than 0"),
    "training.seed=one": ('training.seed is "one"', "number"),
    "training.lr_scheduler_type=cosin": ("training.lr_scheduler_type", 'Did you mean "cosine"?'),
    "lora.r=0": ("lora.r is 0", "1"),
    "data.on_too_long=ignore": ("data.on_too_long", "cut", "drop", "refuse"),
    "lora.target_modules=q_prj": ("q_prj", "q_proj"),
    "model.base_model=nowhere": ("nowhere", "model.base_model"),
    "model.base_model=owner/name": ("owner/name", "revision"),
    "data.chat_template=none.jinja": ("none.jinja", "data.chat_template"),
    "data.tool_catalog=none.json": ("none.json",),
    "training.fp16=true": (),
}


@pytest.mark.parametrize("setting", [setting for setting, words in RECIPE_FAULTS.items() if words])
def test_a_fault_of_the_recipe_names_key_value_and_what_is_possible(
    setting: str, task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(task)
    message = refused(capsys, "task.yaml", "--set", setting)
    assert [word for word in RECIPE_FAULTS[setting] if word not in message] == []
    shutil.rmtree(task / "runs", ignore_errors=False) if (task / "runs").exists() else None
    assert tree(task) == before


def test_a_fault_in_the_recipe_file_names_its_line(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (task / "task.yaml").read_text()
    (task / "task.yaml").write_text(text.replace("  save_steps: 2", "  save_step: 2"))
    message = refused(capsys, "task.yaml")
    place = text.splitlines().index("  save_steps: 2") + 1
    assert f"task.yaml:{place}: " in message
    assert 'Did you mean "training.save_steps"?' in message
    assert "no such recipe" in refused(capsys, "nowhere.yaml")


def _without_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()


def _pickled(model: Path) -> None:
    _without_weights(model)
    (model / "pytorch_model.bin").write_bytes(b"\x80")


def _torn(model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def _without_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").unlink()


def _of_unknown_kind(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": {"AutoModel": "own.X"}}))


def _with_another_tokenizer(model: Path) -> None:
    save_model(model, byte_level(added=[f"word{number}" for number in range(200)]))
    talks = [row(f"word{number} {number}", f"word{number + 50}") for number in range(24)]
    write_lines(model.parent / "train.jsonl", talks)


MODEL_FAULTS: dict[Callable[[Path], None], str] = {
    _without_weights: "holds no weights",
    _pickled: "pickled",
    _torn: "its header cannot be read",
    _without_tokenizer: "tokenizer.json",
    _of_unknown_kind: '"own"',
    _with_another_tokenizer: "the tokenizer writes token ",
}


@pytest.mark.parametrize("fault", MODEL_FAULTS)
def test_a_fault_of_the_base_model_is_said(
    fault: Callable[[Path], None], task: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = task / "model"
    shutil.copytree(tiny_model, model)
    fault(model)
    message = refused(capsys, "task.yaml", "--set", "model.base_model=model")
    assert MODEL_FAULTS[fault] in message
    assert not list((task / "runs").iterdir())


def test_fp16_over_bfloat16_weights_is_refused_with_the_reason(
    task: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = task / "half"
    shutil.copytree(tiny_model, half)
    AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.bfloat16).save_pretrained(half)
    settings = ["--set", f"model.base_model={half}", "--set", "training.fp16=true"]
    message = refused(capsys, "task.yaml", *settings)
    assert "fp16 cannot train over bfloat16 weights" in message
    assert "training.bf16: true" in message
    short = ["--set", "training.num_training_steps=1"]
    assert tunelab(["train", "task.yaml", *settings, *short, "--set", "model.torch_dtype=float32"]) == 0
    both = refused(capsys, "task.yaml", *settings, "--set", "training.bf16=true")
    assert "both" in both


def _overlap(folder: Path) -> None:
    shutil.copy(folder / "train.jsonl", folder / "test.jsonl")


def _long_answers(folder: Path) -> None:
    write_lines(folder / "train.jsonl", [row(f"{number} " + "word " * 90, "yes") for number in range(24)])


def _no_assistant(folder: Path) -> None:
    silent = {"messages": [{"role": "user", "content": "hello"}]}
    write_lines(folder / "train.jsonl", [*rows(24), silent])


BLOCKING: dict[str, tuple[tuple[str, ...], Callable[[Path], object]]] = {
    "train_eval_overlap": ((), _overlap),
    "too_few_rows": (("data.train_samples=4",), lambda _: None),
    "no_assistant_turn": ((), _no_assistant),
    "answer_cut_away": (("data.max_length=40",), _long_answers),
}


@pytest.mark.parametrize("code", BLOCKING)
def test_a_blocking_finding_refuses_the_run_unless_the_recipe_gives_a_reason(
    code: str, task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, make = BLOCKING[code]
    make(task)
    if code == "answer_cut_away":  # some rows stay, or nothing could be trained at all
        with (task / "train.jsonl").open("a") as file:
            file.writelines(json.dumps(each) + "\n" for each in rows(12))
    before = tree(task)
    arguments = [word for setting in settings for word in ("--set", setting)]
    message = refused(capsys, "task.yaml", *arguments)
    assert f"[{code}]" in message
    assert "checks.ignore" in message
    (task / "runs").rmdir()
    assert tree(task) == before
    if not any("num_training_steps" in setting or "warmup" in setting for setting in settings):
        arguments += ["--set", "training.num_training_steps=2"]
    ignored = json.dumps({code: "this is a smoke test"})
    assert tunelab(["train", "task.yaml", *arguments, "--set", f"checks.ignore={ignored}"]) == 0
    assert "this is a smoke test" in capsys.readouterr().out


def test_the_same_command_works_once_the_fault_is_mended(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = (task / "train.jsonl").read_text()
    (task / "train.jsonl").unlink()
    arguments = ("task.yaml", "--set", "training.output_dir=out", "--set", "training.num_training_steps=1")
    refused(capsys, *arguments)
    assert not (task / "out").exists()
    (task / "out").mkdir()
    refused(capsys, *arguments)
    assert list((task / "out").iterdir()) == []
    (task / "train.jsonl").write_text(data)
    assert tunelab(["train", *arguments]) == 0
    again = refused(capsys, *arguments)
    assert "a run that is finished. Choose another folder" in again
    assert "--resume" not in again


def test_a_folder_that_holds_something_else_is_not_written_into(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (task / "thesis").mkdir()
    (task / "thesis" / "chapter.txt").write_text("one")
    (task / "file").write_text("two")
    before = tree(task)
    assert "not an empty folder" in refused(capsys, "task.yaml", "--set", "training.output_dir=thesis")
    assert "not an empty folder" in refused(capsys, "task.yaml", "--set", "training.output_dir=file")
    assert "Not a directory" in refused(capsys, "task.yaml", "--set", "training.output_dir=file/deeper")
    assert tree(task) == before


@pytest.mark.parametrize("settings", [(), ("--set", "training.output_dir=out")])
def test_a_read_only_folder_is_one_message(settings: tuple[str, ...], task: Path, forker: Forker) -> None:
    task.chmod(0o555)
    ended = forker.run("train", "task.yaml", *settings, folder=task, without_privileges=True)
    task.chmod(0o755)
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert "writing here is not permitted. Choose a folder you may write to." in ended.err


def test_a_finding_that_blocks_is_printed_as_an_error_and_an_ignored_one_as_a_warning(
    task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "task.yaml", "--set", "data.train_samples=4", "--set", "training.num_training_steps=2"]
    assert tunelab(arguments) == 2
    assert "error: only 4 training rows" in capsys.readouterr().out
    assert tunelab([*arguments, "--set", 'checks.ignore={too_few_rows: "a smoke test"}']) == 0
    assert "warning: only 4 training rows" in capsys.readouterr().out
