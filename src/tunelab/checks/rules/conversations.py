"""Checks that need no tokenizer: rows, roles, answers, repetitions, and what stands on both sides of the split."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.conversations.conversation import Conversation
from tunelab.conversations.fingerprints import answer_key, answer_turns, prompt_keys, questions, trained_turns
from tunelab.errors import counted

MANY = 0.1
"""Share from which a repetition is a warning and no longer a note."""


@rule("unreadable_row")
def unreadable_rows(context: CheckContext) -> Iterator[Finding]:
    """Rows that could not be read, or that are no conversation."""
    bad, skipped = context.dataset.bad_rows, context.skips_bad_rows
    yield from found(
        bad,
        len(context.dataset.conversations) + len(bad),
        "row",
        f"cannot be read as a conversation{' and are left out' if skipped else ''}",
        code="unreadable_row",
        severity="note" if skipped else "error",
        why="A row that is left out in silence is a row you believe you train on.",
        remedy="Mend these lines, or leave them out knowingly with --skip-bad-rows (data.bad_rows: skip).",
    )


@rule("no_assistant_turn")
def without_assistant(context: CheckContext) -> Iterator[Finding]:
    """Conversations in which the assistant never speaks."""
    silent = [item for item in context.dataset.conversations if _is_silent(item)]
    yield from found(
        silent,
        len(context.dataset.conversations),
        "conversation",
        "hold no assistant turn",
        code="no_assistant_turn",
        severity="error",
        why="Only what the assistant says is trained: nothing is learnt from these rows.",
        remedy="Give each conversation an answer, remove it, or name the right format (data.format).",
    )


@rule("empty_answer")
def empty_answers(context: CheckContext) -> Iterator[Finding]:
    """Trained answers that hold neither text nor a tool call."""
    turns = [(item, item.messages[turn]) for item in context.dataset.conversations for turn in trained_turns(item)]
    empty = [item for item, said in turns if not said.tool_calls and not (said.content or "").strip()]
    yield from found(
        empty,
        len(turns),
        "trained answer",
        "are empty",
        code="empty_answer",
        severity="warning",
        why="An empty answer teaches the model to end its turn without a word.",
        remedy="Fill or remove these rows; if silence is the right answer, say so in checks.ignore.",
    )


@rule("too_few_rows")
def too_few_rows(context: CheckContext) -> Iterator[Finding]:
    """Fewer training conversations than `checks.min_rows`."""
    count, wanted = len(context.dataset.train), context.config.min_rows
    if count < wanted:
        yield Finding(
            code="too_few_rows",
            severity="error",
            summary=f"only {counted(count, 'training row')}, and at least {wanted:,} are wanted",
            count=count,
            total=wanted,
            why="So few rows are learnt by heart in a few steps, and nothing general with them.",
            remedy="Collect more rows (some hundreds for a style, a thousand for a skill), or lower checks.min_rows.",
        )


@rule("train_eval_overlap", "conflicting_answers", "duplicates")
def what_repeats(context: CheckContext) -> Iterator[Finding]:
    """Prompts and answers that stand there more than once: on both sides, with other answers, word for word."""
    prompts = [prompt_keys(item) for item in context.dataset.train]
    answers = [answer_key(item) for item in context.dataset.train]
    if context.dataset.held_out:
        asked = zip(prompts, answers, strict=True)
        yield from _train_eval_overlap(context, {key for keys, answer in asked for key in keys or [answer]})
    last = [(*keys[-1:], answer) for keys, answer in zip(prompts, answers, strict=True)]
    yield from _conflicting_answers(context, last)
    yield from _duplicates(context, last)


def _train_eval_overlap(context: CheckContext, trained: set[bytes]) -> Iterator[Finding]:
    """Held-out conversations whose prompt (or, for plain text, whose text) stands in the training rows too."""
    both = [item for item in context.dataset.held_out if questions(item)[-1] in trained]
    allowed = context.config.max_overlap
    yield from found(
        both,
        len(context.dataset.held_out),
        "held-out row",
        "ask what a training row asks",
        code="train_eval_overlap",
        severity="error" if len(both) > allowed * len(context.dataset.held_out) else "note",
        why="Held-out loss then measures memory: the best checkpoint is chosen by what was seen.",
        remedy=f"Remove these rows from one side, or allow them (checks.max_overlap, now {allowed:g}).",
    )


def _conflicting_answers(context: CheckContext, keys: Sequence[tuple[bytes, ...]]) -> Iterator[Finding]:
    """Training conversations that ask the same and answer differently."""
    answers: defaultdict[bytes, dict[bytes, list[Conversation]]] = defaultdict(lambda: defaultdict(list))
    for item, key in zip(context.dataset.train, keys, strict=True):
        if len(key) == 2:  # a plain text has no prompt
            answers[key[0]][key[1]].append(item)
    torn = [list(different.values()) for different in answers.values() if len(different) > 1]
    yield from found(
        [item for group in torn for same in group for item in same],
        len(context.dataset.train),
        "training row",
        "share their prompt with a row that answers differently",
        code="conflicting_answers",
        severity="warning",
        examples=[f"{one[0].origin} and {other[0].origin}" for one, other, *_ in torn],
        why="The model is pulled both ways and learns the average; its loss cannot fall below the disagreement.",
        remedy="Keep the answer you want, or add to the prompt what tells the cases apart.",
    )


def _is_silent(item: Conversation) -> bool:
    """Return whether a conversation has no answer; one that its marks leave out is an answer."""
    return item.text is None and not answer_turns(item)


def _duplicates(context: CheckContext, keys: Sequence[tuple[bytes, ...]]) -> Iterator[Finding]:
    """Training conversations that stand there more than once, prompt and answer alike."""
    seen: set[tuple[bytes, ...]] = set()
    again = []
    for item, key in zip(context.dataset.train, keys, strict=True):
        if item.text is None and not trained_turns(item):
            continue  # it has another finding, and no answer to tell it by
        if key in seen:
            again.append(item)
        seen.add(key)
    yield from found(
        again,
        len(context.dataset.train),
        "training row",
        "repeat an earlier row, word for word",
        code="duplicates",
        severity="warning" if len(again) > MANY * len(context.dataset.train) else "note",
        why="A repeated row weighs as much as its copies together.",
        remedy="Remove the copies unless the weight is wanted.",
    )


@rule("samples_above_rows")
def samples_above_rows(context: CheckContext) -> Iterator[Finding]:
    """`train_samples` asks for more rows than there are."""
    asked, there = context.train_samples, context.dataset.num_train_found
    if asked is not None and there is not None and asked > there:
        yield Finding(
            code="samples_above_rows",
            severity="note",
            summary=f"{asked:,} training rows are asked for, {there:,} found: all are taken",
            count=there,
            total=asked,
            why="A run planned for more rows takes fewer steps than expected.",
            remedy="Lower data.train_samples, or look whether a file is missing.",
        )
