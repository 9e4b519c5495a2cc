"""Which conversations are shown: a draw that repeats itself, or the worst by a measure."""

import pytest
from check_contexts import a_set, chat, chats, context, rendered
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.checks.context import CheckContext
from tunelab.checks.report.examples import Measure, choose, measure_named
from tunelab.errors import UserError
from tunelab.rendering.rendered import Dropped
from tunelab.sources.row import Origin

LOOP = "the lamp is on the table and it is blue " * 6
WORDS = " ".join(f"word{number}" for number in range(40))


def three() -> CheckContext:
    """Return a long row, a row that was cut and one that was left out, and a short answer."""
    gone = Dropped(origin=Origin(path="train.jsonl", line=3), turn=1, reason="too long", num_tokens=99, num_trained=9)
    sequences = [
        rendered(1, range(50), range(10)),
        rendered(2, range(40), range(2), cut_completion=4),
        rendered(4, range(3), range(3)),
    ]
    items = [chat(1, answer=LOOP), chat(2, answer=WORDS), chat(3, answer="fine, and thank you"), chat(4, answer="no")]
    return context(train=items, rendered_train=a_set(sequences, dropped=(gone,)))


@pytest.mark.parametrize(
    ("measure", "order", "reason"),
    [
        ("length", [2, 0, 1], "99 tokens"),
        ("cut", [2, 1], "99 tokens cut"),
        ("untrained", [2, 1, 0], "0.0 % of its tokens trained"),
        ("short", [3, 2, 0], "an answer of 2 characters"),
        ("repetition", [0], "an answer's word runs"),
    ],
)
def test_the_worst_come_first_with_what_makes_them_so(measure: Measure, order: list[int], reason: str) -> None:
    found = choose(three(), 3, worst=measure, seed=0)
    assert [index for index, _ in found][: len(order)] == order
    assert reason in found[0][1]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), st.integers(0, 99))
def test_a_draw_repeats_itself_and_stays_in_order(count: int, seed: int) -> None:
    of = context(train=chats(20))
    drawn = [index for index, _ in choose(of, count, worst=None, seed=seed)]
    assert drawn == [index for index, _ in choose(of, count, worst=None, seed=seed)]
    assert drawn == sorted(set(drawn))
    assert len(drawn) == min(count, 20)


def test_another_seed_draws_others() -> None:
    of = context(train=chats(20))
    assert len({tuple(choose(of, 3, worst=None, seed=seed)) for seed in range(5)}) > 1


def test_a_measure_is_named_in_any_case_and_an_unknown_one_is_refused_with_the_nearest() -> None:
    assert measure_named("Length") == measure_named("LENGTH") == "length"
    with pytest.raises(UserError, match="LENGTH"):
        measure_named("LENGHT")
