"""A small task that trains in half a second: rows, a recipe over the tiny model, and what a run left."""

import json
from collections.abc import Iterable
from pathlib import Path

from tunelab.events import AnyEvent, StepDone
from tunelab.workspace import Run, Workspace

RECIPE = """model:
  base_model: {model}
  device_map: cpu
data:
  train_files: train.jsonl
  eval_files: test.jsonl
  max_length: 64
{adapter}
training:
  per_device_train_batch_size: 4
  eval_steps: 2
  save_steps: 2
  num_train_epochs: 2
  learning_rate: 0.02
  seed: 3
"""
ADAPTERS = {
    "lora": "lora:\n  r: 2\n  lora_dropout: 0.1",
    "qlora": "qlora:\n  r: 2\n  quantization: nf4",
    "soft_prompt": "soft_prompt:\n  number_of_virtual_tokens: 4",
    "prefix_tuning": "prefix_tuning:\n  number_of_virtual_tokens: 4",
    "ia3": "ia3:\n  target_modules: all-linear",
    "full": "full:",
}


def row(question: str, answer: str) -> dict[str, object]:
    """A conversation of two messages."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def rows(count: int, *, start: int = 0) -> list[dict[str, object]]:
    """Conversations with questions of their own."""
    return [row(f"question {number}", f"answer {number % 5}") for number in range(start, start + count)]


def write_lines(file: Path, lines: Iterable[dict[str, object] | str]) -> Path:
    """Write rows, or lines as they are."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return file


def write_task(folder: Path, model: Path, *, adapter: str = "lora") -> Path:
    """Write a recipe of twelve steps (24 rows, 4 a step, 2 epochs) with its data, and return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    write_lines(folder / "train.jsonl", rows(24))
    write_lines(folder / "test.jsonl", rows(6, start=100))
    file = folder / "task.yaml"
    file.write_text(RECIPE.format(model=model, adapter=ADAPTERS[adapter]), encoding="utf-8")
    return file


def only_run(folder: Path) -> Run:
    """Return the one run of a folder."""
    (run,) = Workspace(path=folder).runs()
    return run


def adapter_sha256(run: Run) -> str:
    """Return what the manifest says of the adapter's weights."""
    files: dict[str, str] = json.loads(run.manifest_file.read_text())["files"]
    return next(digest for name, digest in files.items() if name.endswith("model.safetensors"))


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and time of change of every file below a folder, and None for each folder."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) if path.is_file() else (b"", 0)
        for path in sorted(folder.rglob("*"))
    }


def steps(events: Iterable[AnyEvent]) -> list[StepDone]:
    """The optimizer steps among some events."""
    return [event for event in events if isinstance(event, StepDone)]
