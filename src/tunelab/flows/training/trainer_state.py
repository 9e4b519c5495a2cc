"""`trainer_state.json`: the course of a run in the format of transformers' Trainer, which notebooks of others read."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tunelab.errors import StorageError
from tunelab.events import AnyEvent, EvaluationDone, EventLog, Notice, RunFinished, RunStarted, StepDone, read_events
from tunelab.files import write_file
from tunelab.training.config import TrainingConfig
from tunelab.workspace import Run


def keep_trainer_state(run: Run, config: TrainingConfig, events: EventLog) -> None:
    """Write `trainer_state.json` anew from the run's events, atomically; a disk that refuses it ends no run."""
    try:
        state = msgspec.json.encode(trainer_state(read_events(run.events_file), config))
        write_file(run.trainer_state_file, msgspec.json.format(state))
    except StorageError as error:
        events.emit(Notice(code="trainer_state", text=f"trainer_state.json was not written: {error}", level="warning"))


def trainer_state(events: Sequence[AnyEvent], config: TrainingConfig) -> dict[str, Any]:
    """Return the fields of transformers' `TrainerState` that are known of a run so far, by their names there.

    What the Trainer counts and tunelab does not, such as floating-point operations, is left out: there it has its
    default.
    """
    steps = [event for event in events if isinstance(event, StepDone)]
    best = next((event for event in reversed(events) if isinstance(event, EvaluationDone) and event.best), None)
    total_steps = next((event.total_steps for event in reversed(events) if isinstance(event, RunStarted)), 0)
    return {
        "best_global_step": best.step if best else None,
        "best_metric": best.eval_loss if best else None,
        "best_model_checkpoint": None,  # the best weights lie in the newest checkpoint, and at the end in adapter/
        "epoch": steps[-1].epoch if steps else 0,
        "eval_steps": config.eval_steps,
        "global_step": steps[-1].step if steps else 0,
        "is_local_process_zero": True,
        "is_world_process_zero": True,
        "log_history": list(_log_history(events, steps)),
        "logging_steps": config.logging_steps,
        "max_steps": total_steps,
        "num_train_epochs": _num_epochs(config, steps, total_steps),
        "save_steps": config.save_steps,
        "train_batch_size": config.per_device_train_batch_size,
    }


def _log_history(events: Sequence[AnyEvent], steps: Sequence[StepDone]) -> Iterator[dict[str, Any]]:
    epoch = 0.0
    for event in events:
        if isinstance(event, StepDone):
            epoch = event.epoch
            step = {"loss": event.loss, "grad_norm": event.grad_norm, "learning_rate": event.learning_rate}
            yield {"epoch": epoch, **step, "step": event.step}
        elif isinstance(event, EvaluationDone):
            measured = {"eval_loss": event.eval_loss, "eval_runtime": event.duration_s}
            yield {"epoch": epoch, **measured, "step": event.step}
        elif isinstance(event, RunFinished):
            yield {"epoch": epoch, "step": event.step, **_totals(steps, event)}


def _totals(steps: Sequence[StepDone], finished: RunFinished) -> dict[str, float]:
    """Return what the Trainer says of a whole run, if every step was logged."""
    if len(steps) != finished.step:
        return {}
    losses, durations_s = (math.fsum(each) for each in zip(*((one.loss, one.duration_s) for one in steps), strict=True))
    return {"train_loss": losses / len(steps), "train_runtime": durations_s}


def _num_epochs(config: TrainingConfig, steps: Sequence[StepDone], total_steps: int) -> int:
    """Return how many epochs the planned steps begin."""
    if config.num_training_steps is None:
        return math.ceil(config.num_train_epochs)
    return math.ceil(total_steps * steps[0].epoch / steps[0].step - 1e-9) if steps else 1
