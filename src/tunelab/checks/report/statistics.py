"""Statistics of a data set: what it holds, how long it is, how much of it is trained, how much of it repeats."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunelab.checks.context import CheckContext
from tunelab.checks.phrases import origins, percent
from tunelab.conversations.conversation import Conversation
from tunelab.conversations.fingerprints import trained_turns
from tunelab.errors import counted
from tunelab.rendering.rendered import Rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How an amount spreads over rows; zeros where there are none."""

    mean: float
    p50: int
    p95: int
    p99: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateLength:
    """What another `data.max_length` would cut; answers as they would be with nothing cut, plain text left aside."""

    max_length: int
    is_current: bool
    num_cut: int
    """Sequences that would lose tokens."""
    share_cut: float
    """0 to 1."""
    num_lost: int
    """Of these, the ones whose answer would be gone: the prompt alone fills the length."""
    tokens_cut: int
    trained_tokens_cut: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStatistics:
    """Tokens of the rendered sequences."""

    num_sequences: int
    total: int
    trained: int
    """Completion tokens: the ones that carry loss."""
    trained_share: float
    """0 to 1."""
    repeats: dict[str, int]
    """Tokens that another sequence of the data set begins with too, by where they come from."""
    distinct: int
    """Tokens left when each shared prefix is counted once over the whole data set: total without repeats."""
    sharing: float
    """total / distinct: what sharing can save at best."""
    prompt: Spread | None
    """Of the sequences, before anything was cut, as are the next two; None where no sequence is left."""
    completion: Spread | None
    sequence: Spread | None
    """Of prompt and completion together, sequences that were left out for their length included."""
    histogram: tuple[tuple[int, int], ...]
    """(longest length in the bin, sequences in it), lengths as in `sequence`; they double from bin to bin."""
    candidates: tuple[CandidateLength, ...]
    """The shortest length first: powers of two, the percentiles of `sequence`, and the length that is set."""
    num_rows_untrained: int
    """Conversations of which no token is trained."""
    num_too_long: int
    """Sequences that were cut or left out for their length."""
    num_left_out: int
    """Answers that are in no sequence: truncated to nothing, left out for their length, or refused by the template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What a data set holds, training and held-out rows together."""

    num_rows: int
    """Rows that were read, bad ones included."""
    num_conversations: int
    num_train: int
    num_held_out: int
    num_bad_rows: int
    num_sessions: int
    """Different session ids; 0 where rows name none."""
    messages_by_role: dict[str, int]
    responses: dict[str, int]
    """Trained answers by kind: text, tool_calls, text_and_tool_calls, empty, plain_text."""
    labels: dict[str, int]
    """Conversations by class, training and held-out rows together; empty without labels (`data.label_field` …)."""
    num_with_tools: int
    """Conversations that offer tools."""
    mean_prompt_chars: float
    """Characters of all messages before the last trained answer."""
    mean_answer_chars: float
    tokens: TokenStatistics | None
    """None where there is no tokenizer."""

    def in_words(self) -> str:
        """Return how much repeats, in one sentence; empty where there are no tokens."""
        if self.tokens is None or not self.tokens.total:
            return ""
        t = self.tokens
        rows = counted(self.num_conversations, "row")
        if t.num_sequences != self.num_conversations:
            rows = f"{counted(t.num_sequences, 'sequence')} of {rows}"
        hold = f"{rows} {'holds' if t.num_sequences == 1 else 'hold'} {short(t.total)} tokens"
        left = f" Answers in no sequence: {t.num_left_out:,}." if t.num_left_out else ""
        if t.sharing < 1.05:
            return f"{hold}; next to nothing of them is shared.{left}"
        saved = f"sharing saves {t.sharing:.1f} times ({origins(t.repeats)})"
        return f"{hold}, of which {short(t.distinct)} are distinct: {saved}.{left}"

    def mask_in_words(self) -> str:
        """Return the proof of the loss mask, in one sentence; empty where there are no tokens."""
        if self.tokens is None:
            return ""
        t = self.tokens
        trained = f"Loss falls on {t.trained:,} of {counted(t.total, 'token')} ({percent(t.trained_share)})"
        return f"{trained}; rows with no trained token: {t.num_rows_untrained:,} of {self.num_conversations:,}."


def statistics(context: CheckContext, *, count_repeats: Callable[[Sequence[Rendered]], dict[str, int]]) -> Statistics:
    """Return what the context holds, in figures.

    Args:
        context: what was read and rendered.
        count_repeats: how many tokens of some sequences are in another one already, by origin.
    """
    items = context.dataset.conversations
    rendered = bool(context.dataset.rendered_sets)
    return Statistics(
        num_rows=len(items) + len(context.dataset.bad_rows),
        num_conversations=len(items),
        num_train=len(context.dataset.train),
        num_held_out=len(context.dataset.held_out),
        num_bad_rows=len(context.dataset.bad_rows),
        num_sessions=len({item.session_id for item in items} - {None}),
        messages_by_role=dict(Counter(message.role for item in items for message in item.messages)),
        responses=dict(Counter(kind for item in items for kind in response_types(item))),
        labels=dict(Counter(item.label for item in items if item.label).most_common()),
        num_with_tools=sum(bool(item.tools) for item in items),
        mean_prompt_chars=_mean(_chars(item, answer=False) for item in items),
        mean_answer_chars=_mean(_chars(item, answer=True) for item in items),
        tokens=_tokens(context, count_repeats) if rendered else None,
    )


def response_types(item: Conversation) -> list[str]:
    """Return the kind of each trained answer; plain_text for a text."""
    return ["plain_text"] if item.text is not None else [response_type(item, turn) for turn in trained_turns(item)]


def response_type(item: Conversation, turn: int) -> str:
    """Return the kind of one answer: text, tool_calls, text_and_tool_calls, empty; plain_text for turn -1."""
    if turn < 0:
        return "plain_text"
    answer = item.messages[turn]
    kinds = {(True, False): "text", (False, True): "tool_calls", (True, True): "text_and_tool_calls"}
    return kinds.get((bool(answer.content), bool(answer.tool_calls)), "empty")


def short(number: int) -> str:
    """Return e.g. ``930``, ``44.8 k``, ``2.4 M``."""
    if number >= 100_000:
        return f"{number / 1e6:.2g} M" if number < 10_000_000 else f"{number / 1e6:,.0f} M"
    return f"{number / 1e3:.3g} k" if number >= 1_000 else str(number)


def _tokens(context: CheckContext, count_repeats: Callable[[Sequence[Rendered]], dict[str, int]]) -> TokenStatistics:
    sequences = context.dataset.sequences
    dropped = [item.num_tokens for side in context.dataset.rendered_sets for item in side.dropped if item.num_tokens]
    prompts = np.array([len(item.prompt_ids) + item.cut_prompt for item in sequences], dtype=np.int64)
    completions = np.array([len(item.completion_ids) + item.cut_completion for item in sequences], dtype=np.int64)
    lengths = np.concatenate([prompts + completions, np.array(dropped, dtype=np.int64)])
    total, repeats = sum(item.num_tokens for item in sequences), count_repeats(sequences)
    distinct = total - sum(repeats.values())
    trained = sum(len(item.completion_ids) for item in sequences)
    return TokenStatistics(
        num_sequences=len(sequences),
        total=total,
        trained=trained,
        trained_share=trained / max(total, 1),
        repeats=repeats,
        distinct=distinct,
        sharing=total / max(distinct, 1),
        prompt=_spread(prompts),
        completion=_spread(completions),
        sequence=_spread(lengths),
        histogram=_histogram(lengths),
        candidates=_candidates(context),
        num_rows_untrained=_rows_untrained(context),
        num_left_out=context.dataset.num_answers - len(sequences),
        num_too_long=len(dropped) + sum(item.cut_prompt + item.cut_completion > 0 for item in sequences),
    )


def _spread(values: NDArray[np.int64]) -> Spread | None:
    if not len(values):
        return None
    p50, p95, p99 = (int(value) for value in np.percentile(values, (50, 95, 99), method="higher"))
    return Spread(mean=float(values.mean()), p50=p50, p95=p95, p99=p99, max=int(values.max()))


def _histogram(lengths: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    exponents = Counter(max(int(length) - 1, 0).bit_length() for length in lengths)
    if not exponents:
        return ()
    return tuple((1 << each, exponents[each]) for each in range(min(exponents), max(exponents) + 1))


def _candidates(context: CheckContext) -> tuple[CandidateLength, ...]:
    answers = [item for item in context.dataset.sequences if item.turn >= 0]
    gone = [item for side in context.dataset.rendered_sets for item in side.dropped if item.num_tokens]
    trained = np.array(
        [*(len(a.completion_ids) + a.cut_completion for a in answers), *(each.num_trained for each in gone)],
        dtype=np.int64,
    )
    whole = np.array(
        [*(a.num_tokens + a.cut_prompt + a.cut_completion for a in answers), *(each.num_tokens for each in gone)],
        dtype=np.int64,
    )
    if not len(whole):
        return ()
    cuts = {}
    for length in sorted(_lengths(whole) | ({context.max_length} if context.max_length else set())):
        cut = np.maximum(whole - length, 0)
        cuts[length] = CandidateLength(
            max_length=length,
            is_current=length == context.max_length,
            num_cut=int((cut > 0).sum()),
            share_cut=float((cut > 0).mean()),
            num_lost=int(((cut > 0) & (cut >= trained)).sum()),
            tokens_cut=int(cut.sum()),
            trained_tokens_cut=int(np.minimum(cut, trained).sum()),
        )
    return tuple(cuts.values())


def _lengths(whole: NDArray[np.int64]) -> set[int]:
    """Return the lengths worth comparing: powers of two from below the median on, percentiles, and the longest."""
    p50, *percentiles = (int(value) for value in np.percentile(whole, (50, 95, 99, 100), method="higher"))
    powers = range(max(p50.bit_length() - 1, 4), max(percentiles[-1] - 1, 1).bit_length())
    return {*percentiles, *(1 << power for power in powers)}


def _rows_untrained(context: CheckContext) -> int:
    data = context.dataset
    sides = ((data.train, data.rendered_train), (data.held_out, data.rendered_held_out))
    return sum(
        len(items) - len({sequence.conversation for sequence in side.sequences if len(sequence.completion_ids)})
        for items, side in sides
        if side is not None
    )


def _chars(item: Conversation, *, answer: bool) -> int:
    if item.text is not None:
        return len(item.text) if answer else 0
    turns = trained_turns(item)
    if not turns:
        return 0
    messages = item.messages[turns[-1] : turns[-1] + 1] if answer else item.messages[: turns[-1]]
    return sum(len(message.content or "") for message in messages)


def _mean(values: Iterable[int]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0
