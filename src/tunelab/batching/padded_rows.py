"""Rows instead of forests, for models that cannot branch: nothing shared, like lengths together, padding at the end."""

from collections.abc import Sequence

from tunelab.batching.step_plan import StepPlan, plan_batches
from tunelab.rendering.rendered import Rendered


def plan_rows(sequences: Sequence[Rendered], *, micro_batch_tokens: int, num_virtual_tokens: int = 0) -> StepPlan:
    """Return the rows of an optimizer step, no micro-batch of more than `micro_batch_tokens` padded places.

    Each path is a tree of its own. A sequence longer than the budget is a micro-batch by itself.
    """
    batches: list[list[Rendered]] = []
    for each in sorted(sequences, key=lambda each: -each.num_tokens):
        longest = batches[-1][0].num_tokens + num_virtual_tokens if batches else 0
        if not batches or (len(batches[-1]) + 1) * longest > micro_batch_tokens:
            batches.append([])
        batches[-1].append(each)
    return plan_batches(batches, num_virtual_tokens=num_virtual_tokens, share=False)
