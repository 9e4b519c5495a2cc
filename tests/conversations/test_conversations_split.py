"""Training and held-out side."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.conversations import Conversation, Message, split_conversations
from tunelab.sources import Origin


def items(session_ids: list[str | None]) -> list[Conversation]:
    return [
        Conversation(text=str(line), session_id=session_id, origin=Origin(path="t", line=line))
        for line, session_id in enumerate(session_ids)
    ]


SESSIONS = st.lists(st.none() | st.sampled_from("abcd"), max_size=40)


@settings(max_examples=100, deadline=None)
@given(sessions=SESSIONS, fraction=st.floats(0.01, 0.9), seed=st.integers(0, 9))
def test_a_split_loses_nothing_keeps_sessions_together_and_leaves_no_side_empty(sessions, fraction, seed):
    everything = items(sessions)
    train, held_out = split_conversations(everything, fraction=fraction, seed=seed)
    lines = [item.origin.line for item in train], [item.origin.line for item in held_out]
    assert sorted(lines[0] + lines[1]) == list(range(len(everything)))
    assert lines[0] == sorted(lines[0])
    assert lines[1] == sorted(lines[1])
    assert not {item.session_id for item in train} & {item.session_id for item in held_out} - {None}
    groups = len({session for session in sessions if session}) + sessions.count(None)
    assert bool(held_out) == (groups >= 2)
    assert bool(train) == bool(everything)
    assert (train, held_out) == split_conversations(everything, fraction=fraction, seed=seed)


def test_the_held_out_share_is_the_one_asked_for():
    train, held_out = split_conversations(items([None] * 1000), fraction=0.05, seed=42)
    assert (len(train), len(held_out)) == (950, 50)
    assert split_conversations(items([None] * 10), fraction=0.0, seed=42)[1] == ()


def test_one_large_session_is_not_held_out_whole_by_bad_luck():
    many = items(["large"] * 90 + [f"s{number}" for number in range(10)])
    assert all(len(split_conversations(many, fraction=0.05, seed=seed)[1]) == 5 for seed in range(20))


def test_the_seed_and_not_the_content_decides():
    everything = items([None] * 100)
    other = [replace(item, text=f"other {item.text}") for item in everything]

    def lines(of: list[Conversation], seed: int) -> list[int]:
        return [item.origin.line for item in split_conversations(of, fraction=0.1, seed=seed)[1]]

    assert lines(everything, 1) == lines(other, 1)
    assert lines(everything, 1) != lines(everything, 2)


def test_calls_of_one_session_are_found_without_an_id_by_what_they_continue():
    def calls(name: str) -> list[Conversation]:
        said = [
            Message(role="assistant" if turn % 2 else "user", content=f"{name} {turn}" if turn else "hello")
            for turn in range(8)
        ]
        return [
            Conversation(messages=tuple(said[:length]), train="last", origin=Origin(path=name, line=length))
            for length in (2, 4, 6, 8)
        ]

    check_whole(calls)


def test_rows_of_a_growing_chat_stay_together_and_a_shared_greeting_joins_no_chats():
    def chat(name: str) -> list[Conversation]:
        said = [Message(role="system", content="be kind"), Message(role="user", content="hello")]
        said += [Message(role=("assistant", "user")[turn % 2], content=f"{name}  {turn}") for turn in range(7)]
        return [
            Conversation(messages=tuple(said[:length]), origin=Origin(path=name, line=length))
            for length in (3, 5, 7, 9)
        ]

    check_whole(chat)


def check_whole(calls) -> None:
    everything = [call for number in range(10) for call in calls(f"session {number}")]
    for order in (everything, everything[::-1], everything[::2] + everything[1::2]):
        train, held_out = split_conversations(order, fraction=0.2, seed=3)
        assert len(held_out) == 8
        assert not {item.origin.path for item in train} & {item.origin.path for item in held_out}
