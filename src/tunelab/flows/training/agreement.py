"""What several processes agree on and say before they train a run together."""

from tunelab.batching.config import BatchingConfig
from tunelab.batching.schedule import Schedule
from tunelab.events import EventLog, Notice
from tunelab.flows.training.requirements import require_layers_to_split
from tunelab.recipes import Recipe
from tunelab.training.world import World


def shards_base(recipe: Recipe, world: World) -> bool:
    """Return whether each process holds a part of the base's layers.

    Raises:
        RecipeError: the adapter has nothing that could be split so.
    """
    if not recipe.training.fsdp or world.size == 1:
        return False
    require_layers_to_split(recipe)
    return True


def agree(world: World, fingerprint: str, batching: BatchingConfig) -> BatchingConfig:
    """Return the batching that the process with the least memory can afford.

    Raises:
        RunError: in every process, where one of them reads other data than the first.
    """
    remedy = "Give every machine the same recipe, data, base model and version of tunelab."
    world.refuse_if_unequal(fingerprint, what="reads another recipe, data, template or base model", remedy=remedy)
    tokens = min(int(tokens) for (tokens,) in world.gather(batching.micro_batch_tokens))
    return batching.model_copy(update={"micro_batch_tokens": tokens})


def announce_processes(world: World, schedule: Schedule, events: EventLog, *, fsdp: bool) -> None:
    """Say how many processes share each step, and whether a step has work for all of them."""
    if world.size == 1:
        if fsdp:
            text = "training.fsdp: one process holds the whole base; torchrun starts several"
            events.emit(Notice(code="fsdp_alone", text=text, level="warning"))
        return
    sequences = sum(len(batch) for batch in schedule.step(0).batches)
    text = f"{world.size:,} processes share each step, which is the step of one process: {sequences:,} sequences"
    events.emit(Notice(code="processes", text=text))
    if fsdp:
        text = f"each process holds 1 of {world.size} parts of the base's layers, and one layer whole while it runs"
        events.emit(Notice(code="fsdp", text=text))
    if sequences < world.size:
        text = (
            f"a step of {sequences:,} sequences leaves {world.size - sequences:,} of {world.size:,} processes without "
            "work: start fewer, or raise training.gradient_accumulation_steps"
        )
        events.emit(Notice(code="idle_processes", text=text, level="warning"))
