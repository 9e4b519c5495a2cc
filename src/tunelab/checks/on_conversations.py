"""Checks that need no tokenizer: rows, roles, answers, repetitions, and what stands on both sides of the split."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tunelab.checks.finding import Finding
from tunelab.checks.material import Material, answer_key, prompt_keys, questions, trained_turns
from tunelab.checks.words import examples, how_many
from tunelab.conversations.conversation import Conversation, Message

MANY = 0.1
"""Share from which a repetition is a warning and no longer a note."""


def unreadable_rows(material: Material) -> Iterator[Finding]:
    """Rows that could not be read, or that are no conversation."""
    bad = material.bad_rows
    total = len(material.conversations) + len(bad)
    left_out = " and are left out" if material.skips_bad_rows else ""
    if bad:
        yield Finding(
            code="unreadable_row",
            severity="note" if material.skips_bad_rows else "error",
            summary=f"{how_many(len(bad), total, 'row')} cannot be read as a conversation{left_out}",
            count=len(bad),
            total=total,
            examples=tuple(str(error) for error in bad[:3]),
            why="A row that is left out in silence is a row you believe you train on.",
            remedy="Mend these lines, or leave them out knowingly with --skip-bad-rows (data.bad_rows: skip).",
        )


def without_assistant(material: Material) -> Iterator[Finding]:
    """Conversations in which the assistant never speaks."""
    conversations = material.conversations
    silent = [item for item in conversations if item.text is None and not trained_turns(item)]
    if silent:
        yield Finding(
            code="no_assistant_turn",
            severity="error",
            summary=f"{how_many(len(silent), len(conversations), 'conversation')} hold no assistant turn",
            count=len(silent),
            total=len(conversations),
            examples=examples(silent),
            why="Only what the assistant says is trained: nothing is learnt from these rows.",
            remedy="Give each conversation an answer, remove it, or name the right format (data.format).",
        )


def empty_answers(material: Material) -> Iterator[Finding]:
    """Trained answers that hold neither text nor a tool call."""
    turns = [(item, item.messages[turn]) for item in material.conversations for turn in trained_turns(item)]
    empty = [(item, message) for item, message in turns if _is_empty(message)]
    if empty:
        yield Finding(
            code="empty_answer",
            severity="warning",
            summary=f"{how_many(len(empty), len(turns), 'trained answer')} are empty",
            count=len(empty),
            total=len(turns),
            examples=examples([item for item, _ in empty]),
            why="An empty answer teaches the model to end its turn without a word.",
            remedy="Fill or remove these rows; if silence is the right answer, say so in checks.ignore.",
        )


def too_few_rows(material: Material) -> Iterator[Finding]:
    """Fewer training conversations than `checks.min_rows`."""
    count, wanted = len(material.train), material.config.min_rows
    if count < wanted:
        yield Finding(
            code="too_few_rows",
            severity="error",
            summary=f"{count} training rows are left; at least {wanted} are wanted",
            count=count,
            total=wanted,
            why="So few rows are learnt by heart in a few steps, and nothing general with them.",
            remedy="Collect more rows (some hundreds for a style, a thousand for a skill), or lower checks.min_rows.",
        )


def duplicates(material: Material) -> Iterator[Finding]:
    """Training conversations that stand there more than once, prompt and answer alike."""
    seen: set[tuple[bytes, ...]] = set()
    again: list[Conversation] = []
    for item in material.train:
        key = (*prompt_keys(item)[-1:], answer_key(item))
        if key in seen:
            again.append(item)
        seen.add(key)
    if again:
        yield Finding(
            code="duplicates",
            severity="warning" if len(again) > MANY * len(material.train) else "note",
            summary=f"{how_many(len(again), len(material.train), 'training row')} repeat an earlier row, word for word",
            count=len(again),
            total=len(material.train),
            examples=examples(again),
            why="A repeated row weighs as much as its copies together.",
            remedy="Remove the copies unless the weight is wanted.",
        )


def conflicting_answers(material: Material) -> Iterator[Finding]:
    """Training conversations that ask the same and answer differently."""
    answers: defaultdict[bytes, dict[bytes, Conversation]] = defaultdict(dict)
    asked: Counter[bytes] = Counter()
    for item in material.train:
        for prompt in prompt_keys(item)[-1:]:
            answers[prompt].setdefault(answer_key(item), item)
            asked[prompt] += 1
    torn = [prompt for prompt, different in answers.items() if len(different) > 1]
    if torn:
        count, total = sum(asked[prompt] for prompt in torn), asked.total()
        pairs = [" and ".join(str(item.origin) for item in list(answers[prompt].values())[:2]) for prompt in torn[:3]]
        yield Finding(
            code="conflicting_answers",
            severity="warning",
            summary=f"{how_many(count, total, 'training row')} share their prompt with a row that answers differently",
            count=count,
            total=total,
            examples=tuple(pairs),
            why="The model is pulled both ways and learns the average; its loss cannot fall below the disagreement.",
            remedy="Keep the answer you want, or add to the prompt what tells the cases apart.",
        )


def train_eval_overlap(material: Material) -> Iterator[Finding]:
    """Held-out conversations whose prompt (or, for plain text, whose text) stands in the training rows too."""
    trained = {question for item in material.train for question in questions(item)}
    both = [item for item in material.held_out if questions(item)[-1] in trained]
    if both:
        count, total, allowed = len(both), len(material.held_out), material.config.max_overlap
        yield Finding(
            code="train_eval_overlap",
            severity="error" if count > allowed * total else "note",
            summary=f"{how_many(count, total, 'held-out row')} ask what a training row asks",
            count=count,
            total=total,
            examples=examples(both),
            why="Held-out loss then measures memory: the best checkpoint is chosen by what was seen.",
            remedy=f"Remove these rows from one side, or allow them (checks.max_overlap, now {allowed:g}).",
        )


def samples_above_rows(material: Material) -> Iterator[Finding]:
    """`train_samples` asks for more rows than there are."""
    asked, found = material.train_samples, material.num_train_found
    if asked is not None and found is not None and asked > found:
        yield Finding(
            code="samples_above_rows",
            severity="note",
            summary=f"{asked} training rows are asked for and {found} are there: all are taken",
            count=found,
            total=asked,
            why="A run planned for more rows takes fewer steps than expected.",
            remedy="Lower data.train_samples, or look whether a file is missing.",
        )


CONVERSATION_CHECKS = (
    unreadable_rows,
    without_assistant,
    empty_answers,
    too_few_rows,
    train_eval_overlap,
    conflicting_answers,
    duplicates,
    samples_above_rows,
)


def _is_empty(message: Message) -> bool:
    return not message.tool_calls and not (message.content or "").strip()
