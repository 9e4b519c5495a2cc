"""The statistics count what is there, and nothing twice."""

import numpy as np
from check_contexts import a_set, chat, chats, context, dropped, rendered
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.batching.redundancy import count_repeats
from tunelab.checks.context import CheckContext
from tunelab.checks.report.statistics import Statistics, TokenStatistics, response_types, short, statistics
from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.errors import DataError
from tunelab.sources.row import Origin

AT = Origin(path="a.jsonl", line=1)
CALL = (ToolCall(name="stock", arguments={"id": 3}),)


def counted(of: CheckContext) -> Statistics:
    return statistics(of, count_repeats=count_repeats)


def tokens(of: CheckContext) -> TokenStatistics:
    found = counted(of).tokens
    assert found is not None
    return found


def test_both_sides_bad_rows_sessions_and_roles_are_counted() -> None:
    turn = Conversation(messages=chat(1).messages, session_id="s", tools=({"type": "function"},), origin=AT)
    found = counted(context(train=[turn, turn, chat(3)], held_out=chats(2), bad_rows=(DataError("broken"),)))
    assert (found.num_rows, found.num_conversations, found.num_train, found.num_held_out) == (6, 5, 3, 2)
    assert (found.num_bad_rows, found.num_sessions, found.num_with_tools) == (1, 1, 2)
    assert found.messages_by_role == {"user": 5, "assistant": 5}


def test_answers_are_sorted_by_kind() -> None:
    answers = (
        Message(role="assistant", content="text"),
        Message(role="assistant", tool_calls=CALL),
        Message(role="assistant", content="both", tool_calls=CALL),
        Message(role="assistant"),
    )
    every = Conversation(messages=answers, origin=AT)
    assert response_types(every) == ["text", "tool_calls", "text_and_tool_calls", "empty"]
    assert response_types(Conversation(messages=answers, train="last", origin=AT)) == ["empty"]
    assert response_types(Conversation(text="prose", origin=AT)) == ["plain_text"]


def test_trained_tokens_are_the_completions() -> None:
    found = tokens(context(rendered_train=a_set([rendered(1, (1, 2, 3), (4,)), rendered(2, (1,), (5, 6, 7))])))
    assert (found.total, found.trained, found.trained_share, found.num_sequences) == (8, 4, 0.5, 2)
    assert (found.prompt.max, found.completion.max, found.sequence.p50) == (3, 3, 4)


def test_a_prefix_that_all_share_counts_once() -> None:
    sequences = [rendered(n, prompt=[9] * 100, completion=[n]) for n in range(1, 11)]
    found = tokens(context(rendered_train=a_set(sequences)))
    assert (found.total, found.distinct) == (1010, 110)
    assert round(found.sharing, 2) == 9.18


def test_redundancy_is_said_in_words() -> None:
    sequences = [rendered(n, prompt=[9] * 9_999, completion=[n]) for n in range(1, 21)]
    words = counted(context(rendered_train=a_set(sequences))).in_words()
    hold = "20 rows hold 0.2 M tokens, of which 10 k are distinct"
    assert words == f"{hold}: sharing saves 20.0 times (100 % the common beginning)."
    assert [short(n) for n in (930, 44_800, 2_400_000, 130_000)] == ["930", "44.8 k", "2.4 M", "0.13 M"]


def test_no_tokenizer_gives_no_token_figures_instead_of_zeros() -> None:
    assert counted(context()).tokens is None
    assert counted(context()).in_words() == ""


def test_pain_01_lengths_are_those_before_the_cut_and_what_was_left_out_is_among_them() -> None:
    cut = rendered(1, (1, 2), (3,), cut_completion=997)
    found = tokens(context(rendered_train=a_set([cut, rendered(2)], dropped=(dropped(3, "answer cut away"),))))
    assert (found.sequence.max, found.completion.max, found.num_too_long) == (3000, 998, 2)
    assert found.total == 7
    assert found.histogram[-1] == (4096, 1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=70), max_size=20))
def test_the_histogram_holds_each_sequence_once(rows: list[list[int]]) -> None:
    sequences = [rendered(n, row, [1]) for n, row in enumerate(rows, start=1)]
    found = tokens(context(rendered_train=a_set(sequences)))
    lengths = np.array([item.num_tokens for item in sequences])
    assert sum(count for _, count in found.histogram) == len(rows)
    for (edge, count), low in zip(found.histogram, [0, *(edge for edge, _ in found.histogram)], strict=False):
        assert count == int(((lengths > low) & (lengths <= edge)).sum())
