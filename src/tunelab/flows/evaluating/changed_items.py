"""The same rows, changed: items whose prompt was perturbed, or in which names and words were exchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from tunelab.conversations import Conversation
from tunelab.evaluation.reports.report import UnaskedRows
from tunelab.evaluation.suite.config import SuiteConfig
from tunelab.evaluation.variants.config import BiasConfig, RobustnessConfig
from tunelab.evaluation.variants.variant import Variant, rows_tried, variants_of
from tunelab.flows.evaluating.items import Asked, AskedTask
from tunelab.flows.evaluating.task_rows import TaskRows
from tunelab.rendering.renderer import Renderer


def with_changed_items(task: AskedTask, rows: TaskRows, renderer: Renderer, suite: SuiteConfig) -> AskedTask:
    """Return a task with the changed items that a suite asks for, after those as they are.

    Args:
        task: as one model sees it.
        rows: its rows.
        renderer: of the model.
        suite: its sections `robustness` and `bias` say what is changed.

    Raises:
        RecipeError: own lists of swaps that cannot be read.
        DataError: the template refuses a changed message.
    """
    changed: list[Asked] = []
    unchanged: dict[str, list[Asked]] = {}
    for config in (suite.robustness, suite.bias):
        if config is None:
            continue
        for asked, variant in _variants(task, rows, config, seed=suite.seed):
            if variant.text is None:
                unchanged.setdefault(f"{variant.kind}: {variant.note}", []).append(asked)
            else:
                changed.append(_changed(asked, variant, rows.conversations[asked.place[0]], renderer))
    left_out = [
        UnaskedRows(reason=reason, count=len(some), example=some[0].item.origin) for reason, some in unchanged.items()
    ]
    return replace(task, asked=(*task.asked, *changed), left_out=(*task.left_out, *left_out))


def _variants(
    task: AskedTask, rows: TaskRows, config: RobustnessConfig | BiasConfig, *, seed: int
) -> Iterator[tuple[Asked, Variant]]:
    answered = [each for each in task.asked if each.is_answered]
    tried = rows_tried([each.item.id for each in answered], num_rows=config.num_rows, seed=seed)
    for asked in answered:
        item = asked.item
        if item.id in tried and item.asked:
            variants = variants_of(
                item.asked,
                item_id=item.id,
                config=config,
                labels=task.record.labels,
                tool_names=_tool_names(rows.conversations[asked.place[0]]),
                label=item.label,
                reference=item.reference,
                seed=seed,
            )
            yield from ((asked, variant) for variant in variants)


def _tool_names(conversation: Conversation) -> list[str]:
    functions = (tool.get("function", tool) for tool in conversation.tools)
    return [str(each["name"]) for each in functions if isinstance(each, dict) and "name" in each]


def _changed(asked: Asked, variant: Variant, conversation: Conversation, renderer: Renderer) -> Asked:
    turn = asked.place[1]
    message = replace(conversation.messages[turn - 1], content=variant.text)
    prompt_ids = renderer.prompt_ids((*conversation.messages[: turn - 1], message), conversation.tools)
    digest = hashlib.blake2b(f"{asked.item.id}|{variant.kind}".encode(), digest_size=8).hexdigest()
    item = replace(
        asked.item,
        id=digest,
        asked=variant.text or "",
        prompt=renderer.decode(prompt_ids.tolist(), skip_special_tokens=False),
        reference=asked.item.reference if variant.reference is None else variant.reference,
        num_prompt_tokens=len(prompt_ids),
        variant=variant.kind,
        variant_of=asked.item.id,
        variant_note=variant.note,
    )
    return replace(asked, item=item, prompt_ids=prompt_ids, reference_ids=asked.reference_ids[:0], in_training=False)
