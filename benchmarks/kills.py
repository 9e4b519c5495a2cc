"""Kill training at random instants, and see that each run ends in the bytes of the undisturbed one.

    python benchmarks/kills.py [--kills 36] [--seed 1]

Every run is `tunelab train` in a process of its own, ended by SIGKILL: every other one at any instant of its time, the
rest at any instant of a save (a checkpoint; or the finished adapter, its plot and manifest). A third of the resumed
runs are killed again. All are resumed to the end, and the SHA-256 of the adapter is compared. Ends with 1 where one
differs.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from select import select
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tunelab.cli.console import print_table, say
from tunelab.cli.main import run as command_line
from tunelab.events import EventIndex, StepDone
from tunelab.flows import train as flow
from tunelab.starter import NANO_FOLDER
from tunelab.training import trainer
from tunelab.workspace import Run, Workspace

RECIPE = """model: {base_model: ../model, device_map: cpu}
data: {train_files: train.jsonl, eval_fraction: 0.2, max_length: 96}
lora: {r: 8, lora_dropout: 0.1}
training:
  num_training_steps: 30
  per_device_train_batch_size: 4
  eval_steps: 3
  save_steps: 3
  learning_rate: 0.01
  lr_scheduler_type: cosine
"""
NUM_SAVES = 11
"""Ten checkpoints and the end."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A run that was killed, and resumed to its end."""

    kills: tuple[str, ...]
    """Where each kill met it."""
    num_in_save: int
    resumed_after: tuple[int, ...]
    sha256: str
    left_behind: tuple[str, ...]
    """Half-written files that are still there."""


def main() -> int:
    """Run the proof and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=36, help="at least this many, a third or more of them in a save")
    parser.add_argument("--seed", type=int, default=1, help="of the instants")
    options = parser.parse_args()
    random.seed(options.seed)
    torch.set_num_threads(1)  # a fork has none of its parent's threads
    for module in ("tunelab.cli.train", "matplotlib.figure", "plotext", "transformers.models.llama.modeling_llama"):
        import_module(module)  # what a run would load: a kill is to meet training, and no imports
    began = time.monotonic()
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_model(folder / "model")
        expected, duration_s, save_s = _undisturbed(_make_task(folder / "undisturbed"))
        say(f"undisturbed: {duration_s:.1f} s, of which a save takes {save_s * 1e3:.0f} ms, {NUM_SAVES} times")
        while _kills(trials) < options.kills or 3 * _in_save(trials) < options.kills:
            task = _make_task(folder / f"trial{len(trials)}")
            trials.append(_trial(task, duration_s, save_s, aims_at_save=len(trials) % 2 == 1))
    columns = ("run", "killed after step", "resumed after step", "adapter", "equal")
    rows = [
        (", ".join(t.kills), ", ".join(map(str, t.resumed_after)), t.sha256[:16], t.sha256 == expected) for t in trials
    ]
    print_table(columns, [(number, *row) for number, row in enumerate(rows, start=1)])
    wrong = [trial for trial in trials if trial.sha256 != expected or trial.left_behind]
    end = (
        f"{len(wrong)} of them differ"
        if wrong
        else f"every adapter has the undisturbed run's SHA-256, {expected[:16]}…"
    )
    say(
        f"{_kills(trials)} kills, {_in_save(trials)} of them inside a save, over {len(trials)} runs "
        f"in {time.monotonic() - began:.0f} s: {end}"
    )
    return 1 if wrong else 0


def _kills(trials: list[Trial]) -> int:
    return sum(len(trial.kills) for trial in trials)


def _in_save(trials: list[Trial]) -> int:
    return sum(trial.num_in_save for trial in trials)


def _trial(task: Path, duration_s: float, save_s: float, *, aims_at_save: bool) -> Trial:
    kills: list[str] = []
    num_in_save, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        child = Child(task, resume=_run(task) is not None)
        if not kills or (len(kills) < 4 and random.random() < 1 / 3):
            if aims_at_save:
                child.wait_for_save(random.randint(1, NUM_SAVES))
                time.sleep(random.uniform(0, save_s))
            else:
                child.wait(random.uniform(0, duration_s))
            os.kill(child.pid, signal.SIGKILL)
        code, in_save = child.end()
        if code == -signal.SIGKILL:
            run = _run(task)
            done = len(EventIndex(run.events_file).series(StepDone, "loss")[0]) if run else 0
            kills.append(f"{done} in a save" if in_save else str(done))
            num_in_save += in_save
        elif code != 0:
            raise SystemExit(f"a run ended with {code}")
    run = _run(task)
    assert run is not None
    starts = [json.loads(line) for line in run.events_file.read_bytes().splitlines() if b'"run_started"' in line]
    return Trial(
        kills=tuple(kills),
        num_in_save=num_in_save,
        resumed_after=tuple(start["resumed_from"] for start in starts[1:]),
        sha256=_sha256(run),
        left_behind=tuple(path.name for path in run.path.rglob(".*") if path.name != ".lock"),
    )


def _undisturbed(task: Path) -> tuple[str, float, float]:
    """Return the adapter's SHA-256, and the seconds that a run and, on average, a save take."""
    child, began = Child(task, resume=False), time.monotonic()
    in_saves = 0.0
    for number in range(1, NUM_SAVES + 1):
        child.wait_for_save(number)
        entered = time.monotonic()
        child.wait_for_save(number, ends=True)
        in_saves += time.monotonic() - entered
    code, _ = child.end()
    run = _run(task)
    if code != 0 or run is None:
        raise SystemExit(f"the undisturbed run ended with {code}")
    return _sha256(run), time.monotonic() - began, in_saves / NUM_SAVES


class Child:
    """`tunelab train` in a process of its own; it writes "(" into a pipe where a save begins and ")" where it ends."""

    def __init__(self, task: Path, *, resume: bool) -> None:
        self._marks, theirs = os.pipe()
        self._seen = b""
        self.pid = os.fork()
        if self.pid == 0:
            _train(task, resume, theirs)
        os.close(theirs)

    def wait(self, seconds: float) -> None:
        """Let it work, or end, in this time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._read(left):
            pass

    def wait_for_save(self, number: int, *, ends: bool = False) -> None:
        """Wait until it enters (or leaves) its save of this number, or ends without."""
        while self._seen.count(b")" if ends else b"(") < number and self._read(None):
            pass

    def end(self) -> tuple[int, bool]:
        """Return its exit code, below 0 the signal that killed it, and whether it ended inside a save."""
        _, status = os.waitpid(self.pid, 0)
        while self._read(None):
            pass
        os.close(self._marks)
        return os.waitstatus_to_exitcode(status), self._seen.endswith(b"(")

    def _read(self, timeout_s: float | None) -> bool:
        """Read marks, and tell whether more can come."""
        if not select([self._marks], [], [], timeout_s)[0]:
            return True
        marks = os.read(self._marks, 64)
        self._seen += marks
        return bool(marks)


def _train(task: Path, resume: bool, marks: int) -> None:
    code = 70
    try:
        os.chdir(task)
        with Path("log.txt").open("a") as log:
            os.dup2(log.fileno(), 1)
        for module, name in ((trainer, "save_checkpoint"), (flow, "_finish")):
            setattr(module, name, _marked(getattr(module, name), marks))
        code = command_line(["train", "recipe.yaml", *(["--resume"] if resume else [])])
    finally:
        sys.stdout.flush()
        os._exit(code)


def _marked(save: Callable[..., Any], marks: int) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        os.write(marks, b"(")
        result = save(*arguments, **named)
        os.write(marks, b")")
        return result

    return call


def _make_model(folder: Path) -> None:
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        (folder / name).write_bytes((NANO_FOLDER / name).read_bytes())
    vocab_size = json.loads((NANO_FOLDER / "config.json").read_text())["vocab_size"]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def _make_task(folder: Path) -> Path:
    folder.mkdir()
    talks = [
        [("user", f"how much is lamp {number}?"), ("assistant", f"{number * 7 % 50} euros")] for number in range(80)
    ]
    rows = [{"messages": [{"role": role, "content": text} for role, text in talk]} for talk in talks]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


def _run(task: Path) -> Run | None:
    return next(iter(Workspace(path=task).runs()), None)


def _sha256(run: Run) -> str:
    files: dict[str, str] = json.loads(run.manifest_file.read_text())["files"]
    return files["adapter_model.safetensors"]


if __name__ == "__main__":
    sys.exit(main())
