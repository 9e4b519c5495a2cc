"""`trainer_state.json`: what notebooks made for transformers' Trainer read of a run."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from transformers import TrainerState

from forked import Forker
from train_task import only_run, write_task
from tunelab.errors import StorageError
from tunelab.events import AnyEvent, EvaluationDone, EventLog, RunFinished, RunStarted, StepDone, read_events
from tunelab.flows.training import trainer_state as module
from tunelab.flows.training.trainer_state import keep_trainer_state, trainer_state
from tunelab.training.config import TrainingConfig
from tunelab.workspace import Run


def started(**given: int) -> RunStarted:
    counts = dict.fromkeys(("num_train_tokens", "num_distinct_tokens", "num_trainable", "num_eval_sequences"), 1)
    return RunStarted(run_id="one", num_train_sequences=8, counts_epoch=True, **counts, **given)


def step(number: int, loss: float, *, epoch: float | None = None) -> StepDone:
    tokens = dict.fromkeys(("trained_tokens", "real_tokens", "distinct_tokens"), 1)
    epoch = number / 4 if epoch is None else epoch
    return StepDone(step=number, epoch=epoch, loss=loss, learning_rate=0.1, grad_norm=2.0, duration_s=0.5, **tokens)


def measured(number: int, loss: float, *, best: bool = True) -> EvaluationDone:
    return EvaluationDone(step=number, eval_loss=loss, eval_tokens=9, best=best, duration_s=0.25)


def finished(number: int) -> RunFinished:
    figures = {"best_eval_loss": 1.5, "reason": "steps_done", "adapter_sha256": "", "adapter_bytes": 1}
    return RunFinished(step=number, adapter_step=number, **figures)


EVENTS: Sequence[AnyEvent] = (started(total_steps=4), step(1, 3.0), step(2, 2.0), measured(2, 1.5), step(3, 1.0))


def test_the_trainers_own_class_reads_the_file_and_the_loss_curve_is_that_of_the_events(tmp_path: Path) -> None:
    run = Run(path=tmp_path)
    with EventLog(run.events_file) as events:
        for event in (*EVENTS, step(4, 0.5), measured(4, 1.75, best=False), finished(4)):
            events.emit(event)
        keep_trainer_state(run, TrainingConfig(per_device_train_batch_size=2, save_steps=2, eval_steps=2), events)
    state = TrainerState.load_from_json(str(run.trainer_state_file))
    assert [(one["step"], one["loss"]) for one in state.log_history if "loss" in one] == [
        (1, 3.0), (2, 2.0), (3, 1.0), (4, 0.5)
    ]  # fmt: skip
    assert (state.best_metric, state.best_global_step, state.global_step, state.max_steps) == (1.5, 2, 4, 4)
    assert (state.epoch, state.num_train_epochs, state.train_batch_size) == (1.0, 1, 2)
    assert (state.save_steps, state.eval_steps, state.logging_steps) == (2, 2, 1)
    assert state.log_history[2] == {"epoch": 0.5, "eval_loss": 1.5, "eval_runtime": 0.25, "step": 2}
    assert state.log_history[-1] == {"epoch": 1.0, "step": 4, "train_loss": 1.625, "train_runtime": 2.0}


def test_an_unfinished_run_has_a_state_too_and_an_empty_one_has_no_best() -> None:
    state = trainer_state(EVENTS, TrainingConfig(num_training_steps=4))
    assert (state["global_step"], state["epoch"], state["num_train_epochs"]) == (3, 0.75, 1)
    assert "train_loss" not in state["log_history"][-1]
    empty = trainer_state((), TrainingConfig(num_train_epochs=2.5))
    assert (empty["log_history"], empty["best_metric"], empty["num_train_epochs"]) == ([], None, 3)


def test_the_mean_loss_of_a_run_is_left_out_if_not_every_step_was_logged() -> None:
    events = (started(total_steps=4), step(2, 2.0), step(4, 1.0), finished(4))
    assert "train_loss" not in trainer_state(events, TrainingConfig(logging_steps=2))["log_history"][-1]


def test_every_checkpoint_brings_it_up_to_date_and_a_resumed_run_tells_its_own_story_once(
    tmp_path: Path, tiny_model: Path, forker: Forker
) -> None:
    write_task(tmp_path, tiny_model)
    line = ("train", "task.yaml", "--run", "night")
    killed = forker.run(*line, folder=tmp_path, kill_at=60)
    assert killed.code < 0
    run = only_run(tmp_path)
    before = json.loads(run.trainer_state_file.read_text())
    assert 0 < before["global_step"] < 12
    assert before["global_step"] == len([one for one in before["log_history"] if "loss" in one])
    assert forker.run(*line, folder=tmp_path).code == 0
    state = json.loads(run.trainer_state_file.read_text())
    steps = [one["step"] for one in state["log_history"] if "loss" in one]
    assert steps == list(range(1, 13))
    assert (state["max_steps"], state["num_train_epochs"], state["epoch"]) == (12, 2, 2.0)
    assert [event.loss for event in read_events(run.events_file) if isinstance(event, StepDone)] == [
        one["loss"] for one in state["log_history"] if "loss" in one
    ]


def test_a_disk_that_refuses_it_is_said_and_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(module, "write_file", refuse)
    run, seen = Run(path=tmp_path), []
    with EventLog(run.events_file, [seen.append]) as events:
        keep_trainer_state(run, TrainingConfig(), events)
    assert "trainer_state.json was not written: the disk is full" in seen[0].text
