"""Checks of rendered ids: what is trained, what was truncated, whether the model learns to stop."""

from collections.abc import Iterator, Sequence

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding, Severity
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.errors import counted
from tunelab.rendering.rendered import Dropped, DropReason, Rendered


@rule("nothing_trained")
def nothing_trained(context: CheckContext) -> Iterator[Finding]:
    """Sequences without a single trained token; or no sequence at all."""
    empty = [item for item in context.dataset.sequences if not len(item.completion_ids)]
    yield from found(
        empty,
        len(context.dataset.sequences),
        "sequence",
        "hold no trained token",
        code="nothing_trained",
        severity="error",
        why="They cost time and teach nothing.",
        remedy="Look at one with --show; give it an answer or remove it.",
    )
    if context.dataset.rendered_sets and not context.dataset.sequences:
        yield Finding(
            code="nothing_trained",
            severity="error",
            summary="not one trained token is left of all rows",
            count=0,
            total=len(context.dataset.conversations),
            why="There is nothing to learn from.",
            remedy="The other findings say where the rows went.",
        )


@rule("answer_cut_away")
def answer_cut_away(context: CheckContext) -> Iterator[Finding]:
    """Answers of which truncation left nothing."""
    gone, total = _dropped(context, "answer cut away"), context.dataset.num_answers
    yield from found(
        gone,
        total,
        "answer",
        "are truncated to nothing: the prompt alone fills max_length",
        code="answer_cut_away",
        severity="error",
        examples=_with_lengths(gone),
        why="Nothing of these answers is left to learn from.",
        remedy=_make_room(gone, context) + ("." if len(gone) == total else ", or set data.on_too_long to drop."),
    )


@rule("beyond_positions")
def beyond_positions(context: CheckContext) -> Iterator[Finding]:
    """Sequences longer than the base model has positions for."""
    limit = context.max_positions
    beyond = [item for item in context.dataset.sequences if limit is not None and item.num_tokens > limit]
    yield from found(
        beyond,
        len(context.dataset.sequences),
        "sequence",
        f"are longer than the {limit:,} positions of the base model" if limit is not None else "",
        code="beyond_positions",
        severity="error",
        examples=_with_lengths(beyond),
        why="The model never learnt these positions, or has no weights for them at all.",
        remedy=f"Lower data.max_length to {limit}, or choose a base model with more positions.",
    )


@rule("eos_never_trained")
def end_never_trained(context: CheckContext) -> Iterator[Finding]:
    """Answers that do not end their turn; if others do, truncated ones are reported as `answer_cut`."""
    answers = [item for item in context.dataset.sequences if item.turn >= 0]
    never = not any(item.ends for item in answers)
    endless = [item for item in answers if not item.ends and (never or not item.cut_completion)]
    yield from found(
        endless,
        len(answers),
        "sequence",
        "do not end with the end-of-turn token",
        code="eos_never_trained",
        severity="error" if never else "note",
        why="A model that never saw the end of a turn does not stop.",
        remedy="Raise data.max_length if answers are truncated; else see that the chat template closes the turn.",
    )


@rule("doubled_bos")
def doubled_bos(context: CheckContext) -> Iterator[Finding]:
    """Sequences that begin twice."""
    twice = [item for item in context.dataset.sequences if _begins_twice(item, context.bos_id)]
    yield from found(
        twice,
        len(context.dataset.sequences),
        "sequence",
        "begin with the beginning-of-sequence token twice",
        code="doubled_bos",
        severity="error",
        why="Serving sends it once: the model is trained on a prompt that it will never be sent.",
        remedy="Take the token out of the rows, or out of the chat template: the tokenizer writes it already.",
    )


@rule("answer_cut")
def answer_cut(context: CheckContext) -> Iterator[Finding]:
    """Answers truncated by max_length."""
    cut = [item for item in context.dataset.sequences if item.cut_completion]
    yield from found(
        cut,
        context.dataset.num_answers,
        "answer",
        f"lose their end to max_length ({counted(sum(item.cut_completion for item in cut), 'token')})",
        code="answer_cut",
        severity=_by_share(cut, context.dataset.num_answers, context),
        examples=_with_lengths(cut),
        why="A truncated answer does not end its turn: the model is not shown where to stop.",
        remedy=f"{_make_room(cut, context)}, or set data.on_too_long to drop.",
    )


@rule("too_long")
def too_long(context: CheckContext) -> Iterator[Finding]:
    """Sequences above max_length that were left out."""
    gone, total = _dropped(context, "too long"), context.dataset.num_answers
    yield from found(
        gone,
        total,
        "answer",
        "are left out: prompt and answer do not fit max_length",
        code="too_long",
        severity=_by_share(gone, total, context),
        examples=_with_lengths(gone),
        why="What is long is often of one kind, and that kind is then missing.",
        remedy=f"{_make_room(gone, context)}, or shorten the prompts.",
    )


@rule("content_left_out", "reasoning_left_out")
def parts_left_out(context: CheckContext) -> Iterator[Finding]:
    """Parts of a trained answer that the chat template does not write."""
    left = [part for rendered in context.dataset.rendered_sets for part in rendered.left_out]
    for name, code in (("content", "content_left_out"), ("reasoning", "reasoning_left_out")):
        items = [part for part in left if part.part == name]
        yield from found(
            items,
            context.dataset.num_answers,
            "answer",
            f"lose their {name}: the chat template does not write it",
            code=code,
            severity="warning",
            why="It is in the row, and the model is not trained on it.",
            remedy="Name another data.chat_template, or set the template's own switch in data.chat_template_kwargs.",
        )


@rule("control_token_in_text")
def look_alikes(context: CheckContext) -> Iterator[Finding]:
    """Conversations whose own words look like the tokenizer's control tokens."""
    origins = [origin for rendered in context.dataset.rendered_sets for origin in rendered.look_alikes]
    yield from found(
        origins,
        len(context.dataset.conversations),
        "conversation",
        "hold words that look like control tokens",
        code="control_token_in_text",
        severity="note",
        why="They stay words here; a program that renders text and tokenizes it afterwards would obey them.",
        remedy="Look at one with --show; if they are the remains of another rendering, take them out of the rows.",
    )


@rule("seam")
def seams(context: CheckContext) -> Iterator[Finding]:
    """Prompts whose ids change when they are tokenized together with the answer."""
    torn = [item for item in context.dataset.sequences if item.seam]
    yield from found(
        torn,
        len(context.dataset.sequences),
        "prompt",
        "would be tokenized differently together with the answer",
        code="seam",
        severity="note",
        why="The prompt's own ids are kept, as serving sends them; the first trained token may be a rare one.",
        remedy="Nothing needs to be done; a prompt that ends at a word or line end avoids it.",
    )


def _dropped(context: CheckContext, reason: DropReason) -> list[Dropped]:
    return [item for side in context.dataset.rendered_sets for item in side.dropped if item.reason == reason]


def _by_share(items: Sequence[object], total: int, context: CheckContext) -> Severity:
    return "warning" if len(items) > context.config.max_cut * total else "note"


def _begins_twice(item: Rendered, bos_id: int | None) -> bool:
    first = [*item.prompt_ids[:2], *item.completion_ids[:2]][:2]
    return bos_id is not None and first == [bos_id, bos_id]


def _full_length(item: Rendered | Dropped) -> int:
    return item.num_tokens + (item.cut_prompt + item.cut_completion if isinstance(item, Rendered) else 0)


def _make_room(items: Sequence[Rendered | Dropped], context: CheckContext) -> str:
    """Return the advice for what does not fit max_length; never a length that the base model has no positions for."""
    lengths, limit = sorted(map(_full_length, items)), context.max_positions
    if not lengths or limit is None or lengths[-1] <= limit:
        return f"Raise data.max_length (the longest needs {max(lengths, default=0):,})"
    fitting = [length for length in lengths if length <= limit]
    others = f"; raise data.max_length to {fitting[-1]:,} for the others" if fitting else ""
    return (
        f"The base model has positions for {limit:,} tokens, too few for {len(lengths) - len(fitting):,} of "
        f"{len(lengths):,} (the longest needs {lengths[-1]:,}): split those conversations{others}"
    )


def _with_lengths(items: Sequence[Rendered | Dropped]) -> list[str]:
    return [f"{item.origin} ({counted(_full_length(item), 'token')})" for item in items]
