"""Held-out loss of a network with its adapter."""

from collections.abc import Callable, Sequence

import torch
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.batching.padded_rows import plan_rows
from tunelab.batching.schedule import Batch
from tunelab.batching.step_plan import NOTHING, plan_batches
from tunelab.models.branching import cannot_branch, training_attention
from tunelab.models.loaded_model import in_eval_mode
from tunelab.rendering.rendered import Rendered
from tunelab.training.forest_root import run_root
from tunelab.training.forward import forest_loss
from tunelab.training.sharding import keep_pace, spare_root
from tunelab.training.world import ALONE, World


def held_out_loss(
    network: PreTrainedModel,
    adapter: Adapter,
    sequences: Sequence[Rendered],
    batches: Sequence[Batch],
    *,
    share: bool = True,
    row_tokens: int = 16_384,
    accumulation: int | None = None,
    on_batch: Callable[[int], None] | None = None,
    world: World = ALONE,
) -> tuple[float, int]:
    """Return the mean loss (nats per trained token) and the number of trained tokens.

    Args:
        network: the base model with the adapter attached.
        adapter: switched on or off as the caller left it.
        sequences: the held-out sequences.
        batches: indices into `sequences`, one micro-batch each.
        share: run tokens that a batch shares once.
        row_tokens: places that padded rows may take at a time, in a network that cannot branch.
        accumulation: batches whose losses stay on the device before they move to the CPU; None moves them once.
        on_batch: called with the number of batches done.
        world: the processes that measure together, each its part of the batches.
    """
    total, tokens = 0.0, 0.0
    pending: list[torch.Tensor] = []
    first, last = (place * len(batches) // world.size for place in (world.rank, world.rank + 1))
    own = [[sequences[index] for index in batch] for batch in batches[first:last]]
    plan = NOTHING
    if own and cannot_branch(network):
        together = [each for batch in own for each in batch]
        plan = plan_rows(together, micro_batch_tokens=row_tokens, num_virtual_tokens=adapter.num_virtual_tokens)
    elif own:
        plan = plan_batches(own, num_virtual_tokens=adapter.num_virtual_tokens, share=share)
    with torch.inference_mode(), in_eval_mode(network), training_attention(network):
        plan, lacks_root = keep_pace(network, plan, world)
        root = run_root(network, adapter, plan.root_ids_R)
        if lacks_root:
            spare_root(network, adapter)
        for done, forest in enumerate(plan.forests, start=1):
            pending.append(forest_loss(network, adapter, forest, root))
            tokens += forest.num_trained
            if len(pending) == accumulation or done == len(plan.forests):
                total += float(torch.stack(pending).double().sum())
                pending.clear()
            if on_batch is not None:
                on_batch(done)
    total, tokens = (sum(each) for each in zip(*world.gather(total, tokens), strict=True))
    return (total / tokens if tokens else float("nan")), int(tokens)
