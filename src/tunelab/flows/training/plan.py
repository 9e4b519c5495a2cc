"""The course of a run as far as data and recipe decide it: which steps, how many, how much they share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.batching.config import BatchingConfig
from tunelab.batching.redundancy import count_repeats
from tunelab.batching.schedule import Batch, Schedule, evaluation_batches
from tunelab.batching.step_plan import plan_step
from tunelab.checks.context import PlannedRun
from tunelab.events import Planned
from tunelab.recipes import Recipe
from tunelab.rendering.rendered import Rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What one epoch runs."""

    real_tokens: int
    """Prompt and completion tokens, as if nothing were shared."""
    distinct_tokens: int
    """What is left when each step runs its shared tokens once."""
    repeats: dict[str, int]
    """What a step has more than once, by where it comes from; what a cut between micro-batches repeats stays in it."""
    largest_batch: int
    """Distinct tokens of the largest micro-batch, the root of its step included."""
    most_trained: int
    """Trained tokens of the micro-batch that trains most."""
    is_epoch: bool
    """True where a whole epoch was counted; False where the run ends before."""


def make_schedule(recipe: Recipe, sequences: Sequence[Rendered]) -> Schedule:
    """Return the optimizer steps that `recipe` makes of its training sequences."""
    training = recipe.training
    return Schedule(
        sequences,
        recipe.batching,
        batch_size=training.per_device_train_batch_size,
        accumulation=training.gradient_accumulation_steps,
        max_length=recipe.data.max_length,
        num_epochs=training.num_train_epochs,
        num_steps=training.num_training_steps,
        seed=training.seed,
    )


def in_amounts(schedule: Schedule, sequences: Sequence[Rendered]) -> Planned:
    """Return how much a run will train, as soon as data and recipe tell; tokens are those of each sequence once."""
    num_tokens = sum(each.num_tokens for each in sequences)
    amounts = {"sequences": len(sequences), "tokens": num_tokens, "steps": schedule.total_steps}
    return Planned(stage="training", amounts=amounts)


def held_out_batches(recipe: Recipe, sequences: Sequence[Rendered]) -> list[Batch]:
    """Return the batches in which the loss of held-out sequences is measured, in training and in comparing."""
    return evaluation_batches(
        sequences,
        recipe.batching,
        batch_size=recipe.training.per_device_eval_batch_size,
        max_length=recipe.data.eval_max_length,
    )


def planned_run(recipe: Recipe, schedule: Schedule, *, num_held_out: int) -> PlannedRun:
    """Return what the checks need to know of the run."""
    training = recipe.training
    examples = training.per_device_train_batch_size * training.gradient_accumulation_steps
    return PlannedRun(
        total_steps=schedule.total_steps,
        examples_per_step=examples if recipe.batching.varied_seqlen else None,
        num_warmup_steps=training.warmup_steps(schedule.total_steps),
        uses_warmup=training.lr_scheduler_type.endswith("_with_warmup"),
        num_epochs=_epochs(schedule, training.num_train_epochs if training.num_training_steps is None else None),
        wants_evaluation=training.eval_strategy != "no",
        evaluates=training.eval_strategy == "steps" and num_held_out > 0,
        eval_steps=training.eval_steps,
        save_steps=training.save_steps,
        sets_save_steps=training.sets_save_steps,
        stops_early=training.early_stopping_patience is not None,
        keeps_best=training.load_best_model_at_end,
    )


def _epochs(schedule: Schedule, wanted: float | None) -> float:
    # The first step says which part of an epoch it is: the last one would have to plan all epochs before it.
    return schedule.total_steps * schedule.step(0).epoch if wanted is None else wanted


def sharing_of(batching: BatchingConfig, sequences: Sequence[Rendered], schedule: Schedule, *, light: int) -> Sharing:
    """Return what the first epoch (or the run, if it is shorter) shares inside its steps, cut by `light` tokens."""
    real = distinct = largest = most_trained = 0
    repeats: Counter[str] = Counter()
    is_epoch = False
    for index in range(schedule.total_steps):
        step = schedule.step(index)
        chosen = [sequences[place] for batch in step.batches for place in batch]
        if batching.share_prefixes:
            repeats.update(count_repeats(chosen))
        plan = plan_step(
            chosen,
            micro_batch_tokens=batching.micro_batch_tokens,
            share=batching.share_prefixes,
            light=light,
        )
        real, distinct = real + plan.num_real_tokens, distinct + plan.num_nodes
        for forest in plan.forests:
            largest = max(largest, len(plan.root_ids_R) + forest.num_nodes)
            most_trained = max(most_trained, len(forest.targets_M))
        if is_epoch := step.ends_epoch:
            break
    return Sharing(
        real_tokens=real,
        distinct_tokens=distinct,
        repeats=dict(repeats),
        largest_batch=largest,
        most_trained=most_trained,
        is_epoch=is_epoch,
    )
