"""What is said before the first step: what is trained, over what, on how many tokens, in how much memory."""

from tunelab.adapters.adapter import Adapter
from tunelab.batching.schedule import Schedule
from tunelab.events import EventLog, Notice, RunStarted
from tunelab.flows.data import Gathered
from tunelab.flows.plan import Sharing, sharing_of
from tunelab.models.loaded import LoadedModel
from tunelab.models.memory import estimate_memory
from tunelab.recipes import Recipe


def announce(
    recipe: Recipe,
    run_id: str,
    model: LoadedModel,
    adapter: Adapter,
    data: Gathered,
    schedule: Schedule,
    events: EventLog,
    *,
    resumed_from: int,
) -> None:
    """Say what will be trained, on how many tokens, in how much memory."""
    sharing = sharing_of(recipe, data.rendered_train.sequences, schedule)
    num_trainable = sum(weight.numel() for weight in adapter.named_parameters().values())
    num_weights = sum(weight.numel() for weight in model.network.parameters() if not weight.requires_grad)
    for line in adapter.description:
        events.emit(Notice(text=line))
    dtype = str(model.dtype).removeprefix("torch.")
    events.emit(
        Notice(
            text=f"{num_trainable:,} trainable weights over {num_weights:,} frozen ones "
            f"({recipe.model.base_model}, {dtype}, on {model.device.type})"
        )
    )
    events.emit(Notice(text=_memory(recipe, model, num_weights, num_trainable, sharing)))
    if not data.rendered_held_out.sequences and recipe.training.eval_strategy != "no":
        events.emit(Notice(text="no held-out rows: nothing is evaluated, the last weights are kept", level="warning"))
    events.emit(
        RunStarted(
            run_id=run_id,
            total_steps=schedule.total_steps,
            num_train_sequences=len(data.rendered_train.sequences),
            num_eval_sequences=len(data.rendered_held_out.sequences),
            num_train_tokens=sharing.real_tokens,
            num_distinct_tokens=sharing.distinct_tokens,
            counts_epoch=sharing.is_epoch,
            num_trainable=num_trainable,
            resumed_from=resumed_from,
        )
    )


def _memory(recipe: Recipe, model: LoadedModel, num_weights: int, num_trainable: int, sharing: Sharing) -> str:
    estimate = estimate_memory(
        model.network.config,
        num_weights=num_weights,
        num_trainable=num_trainable,
        bytes_per_weight=model.dtype.itemsize,
        tokens=sharing.largest_batch,
        trained_tokens=sharing.most_trained,
        gradient_checkpointing=recipe.training.gradient_checkpointing,
    )
    parts = (("base", estimate.base_bytes), ("adapter", estimate.adapter_bytes), ("a step", estimate.activation_bytes))
    told = ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in parts)
    return f"memory: about {estimate.total_bytes / 2**20:,.0f} MiB for weights and a step ({told})"
