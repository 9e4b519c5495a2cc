"""Said before a model is loaded: what an evaluation can show, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from tunelab.batching.forest import common_prefix, sort_key
from tunelab.errors import counted
from tunelab.evaluation.statistics.power import design_effect, difference_shown
from tunelab.flows.evaluating.evaluate import EvaluationPlan
from tunelab.rendering.rendered import TokenIds

_CORRELATION = 0.2
"""How much rows of one session are taken to resemble each other where no earlier evaluation says it."""


def forecast(plan: EvaluationPlan, *, num_models: int) -> Iterator[str]:
    """Yield sentences on what the rows of a plan can show, and on how much is asked.

    Args:
        plan: of the evaluation.
        num_models: how many models are asked.
    """
    for task in plan.tasks:
        answered = [each for each in task.asked if each.is_answered and not each.item.variant]
        if answered:
            groups = [each.item.group for each in answered]
            yield f"{task.record.name}: {what_can_be_shown(groups)}"
    prompts = [each.prompt_ids for each in plan.asked if each.is_answered]
    if prompts:
        total, different = sum(map(len, prompts)), distinct_tokens(prompts)
        asked = f"{counted(len(prompts), 'answer')} of {counted(num_models, 'model')}"
        yield f"Asks for {asked}: {counted(total, 'prompt token')} each, {different:,} distinct."


def what_can_be_shown(groups: Sequence[str]) -> str:
    """Return which difference of a share of right answers so many rows can show, in words."""
    sizes = np.unique(np.asarray(groups), return_counts=True)[1]
    design = design_effect(float((sizes**2).sum() / sizes.sum()), _CORRELATION) if len(sizes) < len(groups) else 1.0
    shown = difference_shown(len(groups), design=design)
    rows = counted(len(groups), "row")
    if len(sizes) < len(groups):
        rows += f" in {len(sizes):,} conversations or sessions"
    if shown is None:
        return f"{rows}; if one row in five changes, no difference can be shown with so few."
    flips = "if one row in five changes"
    return f"{rows}; {flips}, a difference of {100 * shown:.1f} points can be shown."


def distinct_tokens(prompts: Sequence[TokenIds]) -> int:
    """Return how many tokens are left if what prompts begin with alike counts once."""
    ids = sorted((np.asarray(prompt, dtype=np.int32) for prompt in prompts), key=sort_key)
    return sum(map(len, ids)) - sum(common_prefix(one, other) for one, other in pairwise(ids))
