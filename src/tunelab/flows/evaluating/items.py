"""From rows to what a model is asked: items with their token ids, the same items for every model."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunelab.conversations import Conversation
from tunelab.conversations.fingerprints import prompt_keys, trained_turns
from tunelab.errors import DataError
from tunelab.evaluation.figures.answer_figures import normalised
from tunelab.evaluation.figures.tool_calls import is_readable
from tunelab.evaluation.reports.report import UnaskedRows
from tunelab.evaluation.rows.evaluated_row import ExpectedCall, Item
from tunelab.evaluation.rows.evaluation_store import TaskRecord
from tunelab.evaluation.suite.find_task import find_kinds, find_labels, looks_like_labels
from tunelab.files import canonical_json
from tunelab.flows.evaluating.slice_fields import found_fields
from tunelab.flows.evaluating.task_rows import SuiteRows, TaskRows
from tunelab.rendering.rendered import Rendered, TokenIds
from tunelab.rendering.renderer import Renderer

Place = tuple[int, int]
"""Index of a conversation, and of the answered message in it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """An item as one model sees it."""

    item: Item
    prompt_ids: TokenIds
    reference_ids: TokenIds
    """With the token that ends the turn."""
    is_answered: bool
    """Whether an answer is asked for, next to the loss of the reference."""
    label_ids: tuple[TokenIds, ...] = ()
    """Of each label of the task, with the token that ends the turn."""
    in_training: bool = False
    place: Place = (0, -1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AskedTask:
    """A task as one model sees it."""

    record: TaskRecord
    asked: tuple[Asked, ...]
    left_out: tuple[UnaskedRows, ...]


def items_of(
    rows: SuiteRows,
    renderer: Renderer,
    *,
    num_rows: int,
    longest_prompt: int,
    fields: Mapping[str, Mapping[str, str]] | None = None,
    answered: Collection[str] | None = None,
) -> list[AskedTask]:
    """Return what a model is asked.

    Args:
        rows: read and rendered by `renderer`.
        renderer: of the model.
        num_rows: at most so many rows of a task are answered, spread evenly; the loss is measured on all.
        longest_prompt: tokens; longer prompts are left out and counted.
        fields: file:line -> fields by which rows are sliced.
        answered: ids of the items that are answered, if another model chose them.

    Raises:
        DataError: labels that cannot be distinguished, or a row with a label that is none.
    """
    return [
        _task(
            task,
            rows,
            renderer,
            num_rows=num_rows,
            longest_prompt=longest_prompt,
            fields=fields or {},
            answered=answered,
        )
        for task in rows.tasks
    ]


def _task(
    task: TaskRows,
    rows: SuiteRows,
    renderer: Renderer,
    *,
    num_rows: int,
    longest_prompt: int,
    fields: Mapping[str, Mapping[str, str]],
    answered: Collection[str] | None,
) -> AskedTask:
    chosen, left_out = _choose(task.sequences, num_rows=num_rows, longest_prompt=longest_prompt)
    record = _record(task, rows.training)
    label_ids = _label_ids(record.labels, task, renderer)
    trained = rows.trained_prompts
    seen: Counter[str] = Counter()
    asked = []
    for sequence in task.sequences:
        conversation = task.conversations[sequence.conversation]
        item = _item(sequence, conversation, record, renderer, fields.get(str(sequence.origin), {}), seen)
        is_answered = _place(sequence) in chosen if answered is None else item.id in answered
        asked.append(
            Asked(
                item=item,
                prompt_ids=sequence.prompt_ids,
                reference_ids=sequence.completion_ids,
                is_answered=is_answered,
                label_ids=label_ids if is_answered else (),
                in_training=_prompt_key(conversation, sequence.turn) in trained,
                place=_place(sequence),
            )
        )
    return AskedTask(record=record, asked=tuple(asked), left_out=(*left_out, *_unreadable(asked)))


def _unreadable(asked: Sequence[Asked]) -> Sequence[UnaskedRows]:
    """Return the rows whose calls are not judged: this template writes calls in a form that cannot be read."""
    unread = [each.item for each in asked if each.is_answered and not is_readable(each.item)]
    reason = "tool calls are not judged, since those of the reference cannot be read as this template writes them"
    return [UnaskedRows(reason=reason, count=len(unread), example=unread[0].origin)] if unread else []


def _choose(
    sequences: Sequence[Rendered], *, num_rows: int, longest_prompt: int
) -> tuple[set[Place], tuple[UnaskedRows, ...]]:
    """Return at most `num_rows` answerable sequences, spread evenly, and why the others are not answered."""
    reasons: dict[str, list[Rendered]] = {}
    answerable = []
    for sequence in sequences:
        reason = _why_not(sequence, longest_prompt)
        if reason is None:
            answerable.append(sequence)
        else:
            reasons.setdefault(reason, []).append(sequence)
    count = min(num_rows, len(answerable))
    picked = {index * len(answerable) // count for index in range(count)}
    if count < len(answerable):
        others = [sequence for index, sequence in enumerate(answerable) if index not in picked]
        reasons[f"not among the {count:,} examples that num_examples allows"] = others
    left_out = tuple(
        UnaskedRows(reason=reason, count=len(some), example=str(some[0].origin)) for reason, some in reasons.items()
    )
    return {_place(answerable[index]) for index in picked}, left_out


def _why_not(sequence: Rendered, longest_prompt: int) -> str | None:
    if len(sequence.prompt_ids) == 0:
        return "plain text has no question to answer; its loss is measured"
    if sequence.cut_completion:
        return "the reference was cut to fit the longest sequence"
    if len(sequence.prompt_ids) > longest_prompt:
        return f"the prompt leaves no room for an answer (more than {longest_prompt:,} tokens)"
    return None


def _record(task: TaskRows, training: Sequence[Conversation]) -> TaskRecord:
    config = task.config
    references = {str(each.origin): _reference(task, each) for each in task.sequences if each.turn >= 0}
    offers_tools = any(conversation.tools for conversation in task.conversations)
    kinds = find_kinds(config, list(references.values()), offers_tools=offers_tools)
    if not references:
        kinds = ("loss",)
    labels: tuple[str, ...] = ()
    if "labels" in kinds:
        known = dict(references)
        trained = {str(row.origin): answer for row in training if (answer := _last_answer(row))}
        if not config.labels and looks_like_labels(list(trained.values())):
            known = trained | known
        labels = find_labels(config, known)
    schema = _schema(config.json_schema) if config.json_schema else None
    return TaskRecord(name=config.name, kinds=kinds, labels=labels, json_schema=schema)


def _reference(task: TaskRows, sequence: Rendered) -> str:
    return task.conversations[sequence.conversation].messages[sequence.turn].content or ""


def _last_answer(conversation: Conversation) -> str:
    turns = trained_turns(conversation)
    return (conversation.messages[turns[-1]].content or "") if turns else ""


def _schema(name: str) -> Mapping[str, Any]:
    file = Path(name)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"the schema cannot be read ({error.strerror})", where=name) from error
    except ValueError as error:
        raise DataError(f"the schema is no JSON ({error})", where=name) from error
    if not isinstance(content, dict):
        raise DataError("the schema is no object", where=name, expected="a JSON schema")
    return content


def _label_ids(labels: Sequence[str], task: TaskRows, renderer: Renderer) -> tuple[TokenIds, ...]:
    """Return the ids of each label as the template writes it after a prompt, its end of turn included."""
    if not labels:
        return ()
    sequence = next(each for each in task.sequences if each.turn >= 0)
    conversation = task.conversations[sequence.conversation]
    ids = tuple(_completion_ids(conversation, sequence.turn, label, renderer) for label in labels)
    spelled: dict[bytes, str] = {}
    for label, some in zip(labels, ids, strict=True):
        if (other := spelled.setdefault(some.tobytes(), label)) != label:
            what = f'the labels "{other}" and "{label}" are the same token ids'
            raise DataError(what, where=f"task {task.config.name}", expected="labels that the tokenizer tells apart")
    return ids


def _completion_ids(conversation: Conversation, turn: int, answer: str, renderer: Renderer) -> TokenIds:
    message = replace(conversation.messages[turn], content=answer, tool_calls=(), reasoning=None, untrained="")
    changed = replace(conversation, messages=(*conversation.messages[:turn], message), train="last")
    sequences = renderer.render(changed, index=0, max_length=2**31)
    if not sequences or not len(sequences[-1].completion_ids):
        raise DataError(f'the label "{answer}" is no token', where=str(conversation.origin))
    return sequences[-1].completion_ids


def _item(
    sequence: Rendered,
    conversation: Conversation,
    record: TaskRecord,
    renderer: Renderer,
    fields: Mapping[str, str],
    seen: Counter[str],
) -> Item:
    turn = sequence.turn
    message = conversation.messages[turn] if turn >= 0 else None
    reference = renderer.decode(sequence.completion_ids.tolist(), skip_special_tokens=True)
    asked = (conversation.messages[turn - 1].content if turn > 0 else None) or ""
    made = message.tool_calls if message else ()
    calls = tuple(ExpectedCall(name=call.name, arguments=call.arguments) for call in made)
    offered = calls if conversation.tools and message else None
    label = _label(message.content or "", record.labels) if message else None
    found = found_fields(
        conversation, turn, asked=asked, num_prompt_tokens=len(sequence.prompt_ids), label=label, calls=offered
    )
    return Item(
        id=_item_id(record.name, conversation, turn, seen),
        task=record.name,
        origin=str(sequence.origin),
        group=sequence.group,
        asked=asked,
        prompt=renderer.decode(sequence.prompt_ids.tolist(), skip_special_tokens=False),
        reference=reference,
        num_prompt_tokens=len(sequence.prompt_ids),
        label=label,
        calls=offered,
        fields={**found, **fields},
    )


def _label(reference: str, labels: Sequence[str]) -> str | None:
    return next((label for label in labels if normalised(label) == normalised(reference)), None)


def _item_id(task: str, conversation: Conversation, turn: int, seen: Counter[str]) -> str:
    """Return an id that is the same wherever the row lies, and whatever system prompt a recipe adds."""
    if conversation.text is not None:
        content: list[Any] = [conversation.text]
    else:
        content = [
            [message.role, message.content, [[call.name, call.arguments] for call in message.tool_calls]]
            for message in conversation.messages[: turn + 1]
            if message.role != "system"
        ]
    digest = hashlib.blake2b(canonical_json([task, content]).encode(errors="replace"), digest_size=8).hexdigest()
    seen[digest] += 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def _prompt_key(conversation: Conversation, turn: int) -> bytes:
    if conversation.text is not None:
        return b""
    return dict(zip(trained_turns(conversation), prompt_keys(conversation), strict=True)).get(turn, b"")


def _place(sequence: Rendered) -> Place:
    return sequence.conversation, sequence.turn
