"""Checks that look at rendered ids: what is trained, what was cut, whether the model learns to stop."""

from collections.abc import Iterator, Sequence

from tunelab.checks.finding import Finding
from tunelab.checks.material import Material
from tunelab.checks.words import examples, how_many
from tunelab.rendering.rendered import Dropped, DropReason, Rendered


def nothing_trained(material: Material) -> Iterator[Finding]:
    """Sequences without a single trained token; or no sequence at all."""
    sequences = material.sequences
    empty = [item for item in sequences if not len(item.completion_ids)]
    if empty or (material.rendered_sets and not sequences):
        share = how_many(len(empty), len(sequences), "sequence")
        yield Finding(
            code="nothing_trained",
            severity="error",
            summary=f"{share} hold no trained token" if empty else "not one trained token is left of all rows",
            count=len(empty),
            total=len(sequences),
            examples=examples(empty),
            why="It costs time and teaches nothing.",
            remedy="Look at one with --show." if empty else "The other findings say where the rows went.",
        )


def unrenderable_turns(material: Material) -> Iterator[Finding]:
    """Answers that the chat template refuses, or writes otherwise than a prompt for them goes on."""
    bad, total = material.bad_turns, len(material.sequences) + len(material.bad_turns)
    left_out = " and are left out" if material.skips_bad_rows else ""
    if bad:
        yield Finding(
            code="unrenderable_turn",
            severity="note" if material.skips_bad_rows else "error",
            summary=f"{how_many(len(bad), total, 'answer')} cannot be written as this model's template wants{left_out}",
            count=len(bad),
            total=total,
            examples=tuple(str(error) for error in bad[:3]),
            why="Training such an answer would teach what serving can never ask for.",
            remedy="Mend these rows or the template's settings, or leave the rows out with --skip-bad-rows.",
        )


def answer_cut_away(material: Material) -> Iterator[Finding]:
    """Answers of which cutting left nothing."""
    gone, total = _dropped(material, "answer cut away")
    if gone:
        yield Finding(
            code="answer_cut_away",
            severity="error",
            summary=f"{how_many(len(gone), total, 'answer')} are cut away whole: the prompt alone fills max_length",
            count=len(gone),
            total=total,
            examples=_with_lengths(gone),
            why="Nothing of these answers is left to learn from.",
            remedy=f"Raise data.max_length (the longest needs {_longest(gone):,}), or set data.on_too_long to drop.",
        )


def too_long(material: Material) -> Iterator[Finding]:
    """Sequences above max_length that were left out."""
    gone, total = _dropped(material, "too long")
    if gone:
        allowed = material.config.max_cut
        yield Finding(
            code="too_long",
            severity="warning" if len(gone) > allowed * total else "note",
            summary=f"{how_many(len(gone), total, 'answer')} are left out: prompt and answer do not fit max_length",
            count=len(gone),
            total=total,
            examples=_with_lengths(gone),
            why="What is long is often of one kind, and that kind is then missing.",
            remedy=f"Raise data.max_length (the longest needs {_longest(gone):,}), or shorten the prompts.",
        )


def answer_cut(material: Material) -> Iterator[Finding]:
    """Answers that lost their end to max_length."""
    cut = [item for item in material.sequences if item.cut_completion]
    total, allowed = len(material.sequences), material.config.max_cut
    if cut:
        lost = sum(item.cut_completion for item in cut)
        yield Finding(
            code="answer_cut",
            severity="warning" if len(cut) > allowed * total else "note",
            summary=f"{how_many(len(cut), total, 'answer')} lose their end to max_length ({lost:,} tokens)",
            count=len(cut),
            total=total,
            examples=_with_lengths(cut),
            why="A cut answer does not end its turn: the model is not shown where to stop.",
            remedy=f"Raise data.max_length (the longest needs {_longest(cut):,}), or set data.on_too_long to drop.",
        )


def end_never_trained(material: Material) -> Iterator[Finding]:
    """Answers that do not end their turn."""
    answers = [item for item in material.sequences if item.turn >= 0]
    endless = [item for item in answers if not item.ends]
    if endless:
        never = len(endless) == len(answers)
        share = how_many(len(endless), len(answers), "answer")
        yield Finding(
            code="eos_never_trained",
            severity="error" if never else "note",
            summary="no answer ends with the end-of-turn token" if never else f"{share} do not end their turn",
            count=len(endless),
            total=len(answers),
            examples=examples(endless),
            why="A model that never saw the end of a turn does not stop.",
            remedy="Raise data.max_length where answers are cut; else see that the chat template closes the turn.",
        )


def doubled_bos(material: Material) -> Iterator[Finding]:
    """Sequences that begin twice."""
    twice = [item for item in material.sequences if _begins_twice(item, material.bos_id)]
    total = len(material.sequences)
    if twice:
        yield Finding(
            code="doubled_bos",
            severity="error",
            summary=f"{how_many(len(twice), total, 'sequence')} begin with the beginning-of-sequence token twice",
            count=len(twice),
            total=total,
            examples=examples(twice),
            why="Serving sends it once: the model is trained on a prompt it will not be asked with.",
            remedy="Take the token out of the rows, or out of the chat template: the tokenizer writes it already.",
        )


def seams(material: Material) -> Iterator[Finding]:
    """Prompts whose ids change when the answer is tokenized behind them."""
    torn = [item for item in material.sequences if item.seam]
    total = len(material.sequences)
    if torn:
        yield Finding(
            code="seam",
            severity="note",
            summary=f"{how_many(len(torn), total, 'prompt')} would tokenize otherwise with the answer behind",
            count=len(torn),
            total=total,
            examples=examples(torn),
            why="The prompt's own ids are kept, as serving sends them; the first trained token may be a rare one.",
            remedy="Nothing needs to be done; a prompt that ends at a word or line end avoids it.",
        )


def parts_left_out(material: Material) -> Iterator[Finding]:
    """Parts of a trained answer that the chat template does not write."""
    left = [part for rendered in material.rendered_sets for part in rendered.left_out]
    total = len(material.sequences)
    for name in sorted({part.part for part in left}):
        items = [part for part in left if part.part == name]
        yield Finding(
            code=f"{name}_left_out",
            severity="warning",
            summary=f"the chat template leaves the {name} out of {how_many(len(items), total, 'answer')}",
            count=len(items),
            total=total,
            examples=examples(items),
            why="It stands in the row, and the model is not trained on it.",
            remedy="Name another data.chat_template, or set the template's own switch in data.chat_template_kwargs.",
        )


def look_alikes(material: Material) -> Iterator[Finding]:
    """Conversations whose own words look like the tokenizer's control tokens."""
    places = [origin for rendered in material.rendered_sets for origin in rendered.look_alikes]
    total = len(material.conversations)
    if places:
        yield Finding(
            code="control_token_in_text",
            severity="note",
            summary=f"{how_many(len(places), total, 'conversation')} hold words that look like control tokens",
            count=len(places),
            total=total,
            examples=tuple(str(origin) for origin in places[:3]),
            why="They stay words here; a program that renders text and tokenizes it afterwards would obey them.",
            remedy="Look at one with --show; if they are the remains of another rendering, take them out of the rows.",
        )


TOKEN_CHECKS = (
    unrenderable_turns,
    nothing_trained,
    answer_cut_away,
    end_never_trained,
    doubled_bos,
    answer_cut,
    too_long,
    parts_left_out,
    look_alikes,
    seams,
)


def _dropped(material: Material, reason: DropReason) -> tuple[list[Dropped], int]:
    """Return what was dropped for `reason`, and out of how many answers."""
    dropped = [item for rendered in material.rendered_sets for item in rendered.dropped]
    return [item for item in dropped if item.reason == reason], len(material.sequences) + len(dropped)


def _begins_twice(item: Rendered, bos_id: int | None) -> bool:
    first = [*item.prompt_ids[:2], *item.completion_ids[:2]][:2]
    return bos_id is not None and first == [bos_id, bos_id]


def _full_length(item: Rendered | Dropped) -> int:
    return item.num_tokens + (item.cut_prompt + item.cut_completion if isinstance(item, Rendered) else 0)


def _longest(items: Sequence[Rendered | Dropped]) -> int:
    return max(map(_full_length, items))


def _with_lengths(items: Sequence[Rendered | Dropped]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{item.origin} ({_full_length(item):,} tokens)" for item in items))[:3]
