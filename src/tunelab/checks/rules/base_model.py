"""Checks of the planned run against its base model: layers that are trained, memory that is needed."""

from collections.abc import Iterator

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.rule import rule

_ROOM = 0.9
"""Share of a device's memory that a step may be expected to fill."""


@rule("target_unmatched", "target_partly_matched")
def targets_matched(context: CheckContext) -> Iterator[Finding]:
    """Layers that the recipe names and the model does not have, or has in some of its blocks only."""
    model = context.model
    if model is None:
        return
    if model.unmatched:
        yield Finding(
            code="target_unmatched",
            severity="error",
            summary=model.unmatched,
            count=1,
            total=1,
            why="What matches nothing would not be trained.",
            remedy=model.remedy,
            blocking=True,
        )
    partly = [target for target in model.targets if 0 < target.num_reached < target.num_layers]
    if partly:
        yield Finding(
            code="target_partly_matched",
            severity="warning",
            summary=f"{len(partly)} of {len(model.targets)} requested targets reach some layers of the model only",
            count=len(partly),
            total=len(model.targets),
            examples=tuple(target.in_words for target in partly[:3]),
            why="The other layers stay as they are: the adapter is smaller than the recipe suggests.",
            remedy="Add the names that the other layers have, or take a role (attention, mlp, all-linear).",
        )


@rule("dora_without_weights")
def dora_divides(context: CheckContext) -> Iterator[Finding]:
    """Outputs of layers without any weight, by whose norm DoRA divides: a run is refused before its first step."""
    model = context.model
    if model is not None and model.divides_by_zero:
        yield Finding(
            code="dora_without_weights",
            severity="error",
            summary=model.divides_by_zero,
            count=1,
            total=1,
            why="That is 0/0: no step would give a number, and train refuses the run.",
            remedy=model.divides_remedy,
            blocking=True,
        )


@rule("experts_unreached")
def experts_reached(context: CheckContext) -> Iterator[Finding]:
    """Experts of a layer that are held in one tensor, around which LoRA can put nothing."""
    model = context.model
    if model is None or not model.targets or not model.num_expert_weights:
        return
    experts, total = model.num_expert_weights, model.num_weights
    yield Finding(
        code="experts_unreached",
        severity="note",
        summary=f"{experts:,} of {total:,} weights of the base model belong to experts that LoRA does not reach",
        count=experts,
        total=total,
        why="A layer's experts are held in one tensor, around which LoRA can put nothing: they stay as they are, and "
        "attention, shared experts and layers without experts are what is trained.",
        remedy="Take this into account when you choose lora.r, or take a dense base model.",
    )


@rule("memory_above_machine")
def memory_fits(context: CheckContext) -> Iterator[Finding]:
    """A step that is expected to take more memory than this machine has."""
    model = context.model
    if model is None or model.memory is None or model.device_bytes is None:
        return
    needed, available = model.memory.total_bytes, model.device_bytes
    if needed > _ROOM * available:
        yield Finding(
            code="memory_above_machine",
            severity="warning",
            summary=f"a step is expected to take {needed / 2**30:,.1f} GiB of memory, "
            f"and this machine has {available / 2**30:,.1f} GiB",
            count=needed,
            total=available,
            why=f"Expected: {model.memory.in_words()}, the libraries aside, in {model.dtype} on {model.device}.",
            remedy="Set training.gradient_checkpointing, lower batching.micro_batch_tokens or data.max_length, take "
            "training.bf16, or train on a larger machine.",
        )
