"""Two processes of torchrun train what one process trains; they are really started here, once for all cases."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch
from _pytest.mark import ParameterSet
from safetensors.torch import load_file

from shared_work import once, shared_folder
from train_task import only_run, rows, steps, write_lines, write_task
from tunelab.cli.main import run as tunelab
from tunelab.events import AnyEvent, EvaluationDone, Notice, RunInterrupted, read_events
from tunelab.workspace import Run

LONG = " ".join(f"rule {number}" for number in range(40))
"""A system prompt of more than 64 tokens, the root of a step that is cut."""
USUAL = ("training.learning_rate=0.002", "training.num_train_epochs=1")
STILL = "lora.lora_dropout=0"
WHOLE = "lora.modules_to_save=embed_tokens, lm_head, norm"
CUT = ("batching.micro_batch_tokens=100", "data.max_length=512", "training.per_device_train_batch_size=3")
ALONE = ("training.per_device_train_batch_size=1", "training.num_training_steps=4")
SHARDED = "training.fsdp=true"
WIDE = (
    "batching.micro_batch_tokens=140",
    "data.max_length=512",
    "training.per_device_train_batch_size=12",
    "training.num_training_steps=4",
)
"""Steps that are cut, and can be cut once more."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run of one process, and the same run of two."""

    adapter: str = "lora"
    settings: tuple[str, ...] = ()
    of_two: tuple[str, ...] = ()
    """Settings of the two processes alone."""
    stop_at: int | None = None
    no_memory_in: str | None = None
    in_a_group: bool = False
    """The process group is there before tunelab is called."""
    is_slow: bool = False
    """True for a case that `make test-slow` runs, and `make test` does not."""

    @property
    def marks(self) -> tuple[pytest.MarkDecorator, ...]:
        """The marks of its tests."""
        return (pytest.mark.slow,) if self.is_slow else ()


CASES = {
    "lora": Case(settings=(STILL,)),
    "in_a_group": Case(settings=(STILL,), in_a_group=True),
    "by_layer": Case(settings=(STILL, "lora.rank_pattern={q_proj: 3}", WHOLE, "lora.loraplus_lr_ratio=8")),
    "soft_prompt": Case(is_slow=True, adapter="soft_prompt"),
    "prefix_tuning": Case(adapter="prefix_tuning"),
    "cut": Case(settings=(STILL, *CUT)),
    "idle": Case(settings=(STILL, *ALONE)),
    "stopped": Case(settings=(STILL,), stop_at=4),
    "sharded": Case(settings=(STILL, *CUT), of_two=(SHARDED,)),
    "sharded_whole": Case(settings=(STILL, *CUT, WHOLE, "lora.init_lora_weights=pissa"), of_two=(SHARDED,)),
    "sharded_recomputed": Case(
        is_slow=True, settings=(STILL, *CUT, "training.gradient_checkpointing=true"), of_two=(SHARDED,)
    ),
    "sharded_idle": Case(is_slow=True, settings=(STILL, *ALONE), of_two=(SHARDED,)),
    "sharded_prefix_tuning": Case(is_slow=True, adapter="prefix_tuning", settings=CUT, of_two=(SHARDED,)),
    "short": Case(settings=(STILL, *WIDE), no_memory_in="forward"),
    "short_backward": Case(is_slow=True, settings=(STILL, *WIDE), no_memory_in="backward"),
    "short_gradients": Case(is_slow=True, settings=(STILL, *WIDE), no_memory_in="gradients"),
    "sharded_short": Case(settings=(STILL, *WIDE), of_two=(SHARDED,), no_memory_in="forward"),
    "sharded_short_backward": Case(is_slow=True, settings=(STILL, *WIDE), of_two=(SHARDED,), no_memory_in="backward"),
    "sharded_short_gathering": Case(is_slow=True, settings=(STILL, *WIDE), of_two=(SHARDED,), no_memory_in="gathering"),
    "sharded_short_recomputed": Case(
        is_slow=True,
        settings=(STILL, *WIDE, "training.gradient_checkpointing=true"),
        of_two=(SHARDED,),
        no_memory_in="backward",
    ),
}
LOST = {
    "lost_adamw": Case(settings=(STILL, *ALONE), no_memory_in="adamw"),
    "lost_held_out": Case(settings=(STILL, *ALONE), no_memory_in="held out"),
    "lost_sharded_exchange": Case(settings=(STILL, *ALONE), of_two=(SHARDED,), no_memory_in="exchange"),
}
"""What no agreement is possible about. A sharded base keeps its connections until its process ends: it comes last."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a command left in one process."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class World:
    """What the two processes did."""

    folder: Path

    def left(self, name: str) -> tuple[Left, Left]:
        """Return what both processes left of a command."""
        first, second = (Left(**json.loads((self.folder / f"{name}.{rank}.json").read_text())) for rank in (0, 1))
        return first, second

    def run(self, name: str, side: str) -> Run:
        """Return the run that `one` or `two` processes made of a case."""
        return only_run(self.folder / name / side)


def _marked(belongs: Callable[[Case], bool]) -> list[ParameterSet]:
    return [pytest.param(name, marks=case.marks) for name, case in CASES.items() if belongs(case)]


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> World:
    """The cases of the tests that were chosen, run by two processes."""
    has_slow = any(item.get_closest_marker("slow") for item in request.session.items)
    cases = {name: case for name, case in (CASES | LOST).items() if has_slow or not case.is_slow}
    run_all = partial(_run_all, model=tiny_model, cases=cases)
    return World(folder=once(shared_folder(tmp_path_factory) / "processes", run_all))


def _run_all(folder: Path, *, model: Path, cases: Mapping[str, Case]) -> None:
    """Write the task of each case for each side, and run what is for two processes in one session of torchrun."""
    commands = [_command("no_recipe", folder, "absent.yaml")]
    for name, case in cases.items():
        for side in ("one", "two"):
            file = write_task(folder / name / side, model, adapter=case.adapter)
            if "data.max_length=512" in case.settings:
                ruled = [{"messages": [{"role": "system", "content": LONG}, *each["messages"]]} for each in rows(24)]  # type: ignore[misc]
                write_lines(file.parent / "train.jsonl", ruled)
        arguments = ("task.yaml", *_set(case, *case.of_two))
        disturbed = {"stop_at": case.stop_at, "no_memory_in": case.no_memory_in, "in_a_group": case.in_a_group}
        commands.append(_command(name, file.parent, *arguments, **disturbed))
        if name == "lora":
            commands.append(_command("apart", file.parent, "task.yaml", of_last=["train", "missing_here.yaml"]))
    (folder / "commands.json").write_text(json.dumps(commands))
    script = Path(__file__).with_name("under_torchrun.py")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launch, str(script), str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr


def _command(name: str, folder: Path, *arguments: str, **options: object) -> dict[str, object]:
    return {"name": name, "folder": str(folder), "arguments": ["train", *arguments], **options}


def _set(case: Case, *more: str) -> list[str]:
    return [word for setting in (*USUAL, *case.settings, *more) for word in ("--set", setting)]


def _alone(world: World, name: str) -> Run:
    """Return the run of one process, trained when a case of these settings first needs it."""
    case = CASES[name]
    same = (each for each, other in CASES.items() if (other.adapter, other.settings) == (case.adapter, case.settings))
    return only_run(once(world.folder / next(same) / "one", partial(_train, settings=_set(case))))


def _train(folder: Path, *, settings: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert tunelab(["train", "task.yaml", *settings]) == 0


def assert_equal(one: Run, two: Run) -> None:
    """The loss of each step, each held-out loss and the adapter agree to 1e-6."""
    events = [read_events(run.events_file) for run in (one, two)]
    for figures in (_losses, _held_out):
        alone, together = map(figures, events)
        assert len(alone) > 1
        assert together == pytest.approx(alone, rel=1e-6)
    alone, together = map(_weights, (one, two))
    assert float((alone - together).norm() / alone.norm()) < 1e-6


def _losses(events: list[AnyEvent]) -> list[float]:
    return [step.loss for step in steps(events)]


def _held_out(events: list[AnyEvent]) -> list[float]:
    return [event.eval_loss for event in events if isinstance(event, EvaluationDone)]


def _weights(run: Run) -> torch.Tensor:
    weights = load_file(run.adapter / "adapter_model.safetensors")
    return torch.cat([weights[name].double().flatten() for name in sorted(weights)])


def _said(run: Run) -> str:
    return "\n".join(event.text for event in read_events(run.events_file) if isinstance(event, Notice))


@pytest.mark.parametrize("name", _marked(lambda case: case.stop_at is None))
def test_two_processes_give_the_loss_curve_and_the_adapter_of_one(name: str, world: World) -> None:
    first, second = world.left(name)
    assert (first.code, first.err) == (0, "")
    assert (second.code, second.out, second.err) == (0, "", "")
    one, two = _alone(world, name), world.run(name, "two")
    assert_equal(one, two)
    assert "2 processes share each step" in _said(two)
    pairs = zip(*(steps(read_events(run.events_file)) for run in (one, two)), strict=True)
    assert all(alone.real_tokens == together.real_tokens for alone, together in pairs)


@pytest.mark.parametrize("name", _marked(lambda case: case.no_memory_in is not None))
def test_pain_18_where_one_process_has_no_memory_all_begin_the_step_again_with_half(name: str, world: World) -> None:
    said = _said(world.run(name, "two"))
    assert said.count("out of memory: micro-batches are limited to 70 tokens from here on") == 1
    assert "out of memory" not in _said(_alone(world, name))


@pytest.mark.parametrize(
    ("name", "told", "code"),
    [
        ("lost_adamw", "no memory for AdamW", 2),
        ("lost_held_out", "no memory for a held-out batch.*per_device_eval_batch_size", 2),
        ("lost_sharded_exchange", "a layer could not be gathered.*no room for buffers", 75),
    ],
)
def test_pain_18_where_no_agreement_is_possible_one_process_says_why_and_all_end(
    name: str, told: str, code: int, world: World
) -> None:
    first, second = world.left(name)
    assert (first.code, second.code) == (code, code)
    assert re.search(told, second.err)
    assert second.err.count("\n") == 1
    assert first.err == ""


def test_a_step_with_fewer_sequences_than_processes_is_trained_and_said(world: World) -> None:
    assert "a step of 1 sequences leaves 1 of 2 processes without work" in _said(world.run("idle", "two"))
    assert "without work" not in _said(world.run("lora", "two"))


def test_pain_16_a_signal_to_one_process_ends_all_after_the_same_step_and_one_process_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = world.left("stopped")
    assert (first.code, second.code) == (143, 143)
    assert "Saved at step 4." in first.out
    assert (second.out, second.err) == ("", "")
    two = world.run("stopped", "two")
    interrupted = read_events(two.events_file)[-1]
    assert isinstance(interrupted, RunInterrupted)
    assert (interrupted.step, interrupted.signal) == (4, "SIGTERM")
    monkeypatch.chdir(two.path.parents[1])
    assert tunelab(["train", str(two.recipe_file), "--resume"]) == 0
    assert "processes 2 -> 1" in _said(two)
    assert_equal(_alone(world, "stopped"), two)


def test_what_all_processes_refuse_is_said_once(world: World) -> None:
    first, second = world.left("no_recipe")
    assert (first.code, second.code) == (2, 2)
    assert "no such recipe" in first.err
    assert first.err.count("\n") == 1
    assert second.err == ""


def test_what_one_process_refuses_it_says_itself_and_the_others_end(world: World) -> None:
    first, second = world.left("apart")
    assert (first.code, second.code) == (2, 2)
    assert "missing_here.yaml" in second.err
    assert second.err.count("\n") == 1
    assert (first.out, first.err) == ("", "")
    assert len(list((world.folder / "lora" / "two" / "runs").iterdir())) == 1  # what had not begun is taken back
