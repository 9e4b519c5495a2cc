"""A budget of tokens that single sequences do not fit, in words."""

from collections.abc import Sequence

from tunelab.batching.config import BatchingConfig
from tunelab.batching.forest import count_nodes, overlaps, paths_of
from tunelab.batching.step_plan import plan_step
from tunelab.rendering.rendered import Rendered


def above_budget(
    sequences: Sequence[Rendered],
    first_step: Sequence[Rendered],
    batching: BatchingConfig,
    *,
    num_virtual_tokens: int = 0,
) -> str:
    """Return one line on sequences that are longer than a micro-batch may be; nothing if none is.

    Args:
        sequences: those of the run.
        first_step: those of its first step, for what the budget repeats there.
        batching: whose `micro_batch_tokens` is the budget.
        num_virtual_tokens: in front of each sequence.
    """
    budget = batching.micro_batch_tokens
    lengths = [each.num_tokens + num_virtual_tokens for each in sequences]
    above = [length for length in lengths if length > budget]
    if not above:
        return ""
    text = (
        f"{len(above):,} of {len(lengths):,} sequences are longer than the {budget:,} tokens of a micro-batch "
        f"(the longest has {max(above):,}): no sequence is cut, so such a micro-batch is larger"
    )
    paths = paths_of(first_step, num_virtual_tokens=num_virtual_tokens, share=batching.share_prefixes)
    distinct = count_nodes(paths, overlaps(paths, share=batching.share_prefixes))
    run = plan_step(
        first_step,
        micro_batch_tokens=budget,
        num_virtual_tokens=num_virtual_tokens,
        share=batching.share_prefixes,
    ).num_nodes
    if run <= distinct:
        return text
    return (
        f"{text}, and step 1 runs {run:,} tokens instead of {distinct:,} distinct ones; "
        "a larger batching.micro_batch_tokens repeats fewer"
    )
