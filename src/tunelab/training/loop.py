"""The training loop: forests in, adapter and events out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from tunelab.adapters.adapter import Adapter
from tunelab.batching.budget_notice import above_budget
from tunelab.batching.config import BatchingConfig
from tunelab.batching.padded_rows import plan_rows
from tunelab.batching.schedule import Schedule, Step
from tunelab.batching.split_over_ranks import split_over_ranks
from tunelab.batching.step_plan import NOTHING, light_tokens, plan_step
from tunelab.errors import RunError
from tunelab.events import EventLog, Notice
from tunelab.models.branching import cannot_branch
from tunelab.models.config import Precision
from tunelab.models.loaded_model import LoadedModel
from tunelab.rendering.rendered import Rendered
from tunelab.training.checkpoint import Checkpoint
from tunelab.training.config import TrainingConfig
from tunelab.training.save_clock import SaveClock
from tunelab.training.trainer import Score, Trainer
from tunelab.training.world import ALONE, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a run ended; the network holds the adapter that is kept."""

    step: int
    adapter_step: int
    best_loss: float | None
    reason: str
    """steps_done, early_stopping or interrupted."""


def fit(
    model: LoadedModel,
    adapter: Adapter,
    sequences: Sequence[Rendered],
    schedule: Schedule,
    *,
    config: TrainingConfig,
    batching: BatchingConfig,
    precision: Precision,
    checkpoints: Path,
    fingerprint: str,
    events: EventLog,
    score: Score | None,
    resume_from: Checkpoint | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    before_saving: Callable[[], None] = lambda: None,
    after_saving: Callable[[], None] = lambda: None,
    world: World = ALONE,
) -> Fit:
    """Train `adapter` from a checkpoint, or from the start, to the end of `schedule`.

    Args:
        model: the frozen base with `adapter` attached.
        adapter: what is trained.
        sequences: the training sequences that `schedule` speaks of.
        schedule: which sequences meet in which step.
        config: the training section of the recipe.
        batching: whether shared tokens run once, and how many a micro-batch may hold.
        precision: what the forward pass computes in.
        checkpoints: folder of the checkpoints.
        fingerprint: of recipe, data, template and base, which each checkpoint keeps.
        events: where steps, evaluations and checkpoints are written.
        score: held-out loss; None evaluates nothing.
        resume_from: the newest of `checkpoints`; None starts afresh.
        should_stop: called after each step; True in any process saves a checkpoint and ends with reason `interrupted`.
        before_saving: called in the first process right before a checkpoint is in place; what it raises ends the run.
        after_saving: called in every process after a checkpoint.
        world: the processes that run each step together; the outcome is that of one.
    """
    micro_batch_tokens = batching.micro_batch_tokens
    light = light_tokens(model.network.num_parameters(), on_gpu=model.device.type == "cuda")
    trainer = Trainer(
        model,
        adapter,
        config,
        precision,
        world=world,
        total_steps=schedule.total_steps,
        micro_batch_tokens=micro_batch_tokens,
        light=light,
    )
    trainer.resume(resume_from, events)
    num_virtual = adapter.num_virtual_tokens
    build_plan = partial(plan_step, num_virtual_tokens=num_virtual, share=batching.share_prefixes, light=light)
    if cannot_branch(model.network):
        build_plan = partial(plan_rows, num_virtual_tokens=num_virtual)
    first_step = [sequences[index] for batch in schedule.step(0).batches for index in batch]
    if text := above_budget(sequences, first_step, batching, num_virtual_tokens=num_virtual, light=light):
        events.emit(Notice(code="above_budget", text=text, level="warning"))

    clock = SaveClock(config.save_minutes)
    with trainer.ready():
        while trainer.progress.step < schedule.total_steps and not trainer.progress.stopped_early:
            step = schedule.step(trainer.progress.step)
            chosen = [sequences[index] for batch in step.batches for index in batch]
            try:
                own = split_over_ranks(chosen, world.size, share=batching.share_prefixes)[world.rank]
                plan = build_plan(own, micro_batch_tokens=micro_batch_tokens) if own else NOTHING
                done = trainer.train_step(plan, step)
            except torch.OutOfMemoryError as error:
                can_be_cut = any(has for (has,) in world.gather(len(plan.forests) < len(own)))
                micro_batch_tokens = _half(micro_batch_tokens, chosen, error, events, can_be_cut=can_be_cut)
                continue
            if done.step % config.logging_steps == 0 or done.step == schedule.total_steps:
                events.emit(done)
            is_last = done.step == schedule.total_steps
            if score is not None and _is_due(config, step, done.step, is_last=is_last):
                trainer.evaluate(score, events)
            stops, saves = zip(*world.gather(should_stop(), clock.is_due(done, events)), strict=True)
            stopping = any(stops) and not is_last
            is_end = stopping or is_last or trainer.progress.stopped_early
            if is_end or any(saves) or done.step % config.save_steps == 0:
                trainer.save(checkpoints, fingerprint, events, before=before_saving)
                after_saving()
                clock.restart()
            if stopping:
                return Fit(
                    step=done.step, adapter_step=done.step, best_loss=trainer.progress.best_loss, reason="interrupted"
                )
    progress = trainer.progress
    reason = "early_stopping" if progress.stopped_early else "steps_done"
    return Fit(step=progress.step, adapter_step=trainer.keep_best(), best_loss=progress.best_loss, reason=reason)


def _half(
    tokens: int, chosen: Sequence[Rendered], error: torch.OutOfMemoryError, events: EventLog, *, can_be_cut: bool
) -> int:
    """Return half the budget of a micro-batch and say so; the step is begun again and stays the same."""
    if not can_be_cut or tokens == 1:
        longest = max(each.num_tokens for each in chosen)
        remedy = "Lower data.max_length, set training.gradient_checkpointing: true, or choose a smaller base model."
        raise RunError(
            f"the device has no memory for one sequence of {longest:,} tokens", where="training", remedy=remedy
        ) from error
    torch.cuda.empty_cache()
    limit = f"micro-batches are limited to {tokens // 2:,} tokens from here on"
    text = f"out of memory: {limit}; set batching.micro_batch_tokens to that"
    events.emit(Notice(code="out_of_memory", text=text, level="warning"))
    return tokens // 2


def _is_due(config: TrainingConfig, step: Step, number: int, *, is_last: bool) -> bool:
    """Return whether an evaluation follows; the last step is always measured, so that no weights go unmeasured."""
    if config.eval_strategy == "epoch":
        return (step.ends_epoch or is_last) and step.epoch >= config.eval_delay
    if config.eval_strategy == "steps":
        return (number % config.eval_steps == 0 or is_last) and number >= config.eval_delay
    return False
