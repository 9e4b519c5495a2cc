"""The state machine is the table, whoever moves a job and in whichever order."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from jobs_files import spec, store_in

from tunelab.jobs import state as room
from tunelab.jobs.state import BEGUN, ENDS, MOVES, JobState


def test_every_state_has_its_moves_and_can_be_reached_and_left() -> None:
    assert set(MOVES) == set(JobState)
    reached = {JobState.QUEUED}
    while following := set().union(*(MOVES[each] for each in reached)) - reached:
        reached |= following
    assert reached == set(JobState)
    assert all(MOVES.values())


def test_an_end_is_left_only_for_the_queue_and_a_process_ends_only_in_an_end() -> None:
    assert all(MOVES[end] == {JobState.QUEUED} for end in ENDS)
    assert {each for each in BEGUN if MOVES[each] & ENDS} == {JobState.RUNNING, JobState.CANCELLING}
    assert set(JobState) == ENDS | set(BEGUN) | {JobState.QUEUED}


def test_the_picture_at_the_top_of_the_file_is_the_table() -> None:
    lines = re.findall(r"^    (\w[\w ]*?) +→ (.+)$", room.__doc__ or "", re.MULTILINE)
    drawn = {name: set(following.split(", ")) for name, following in lines}
    assert drawn.pop("any end") == {JobState.QUEUED}
    assert drawn == {state: following for state, following in MOVES.items() if state not in ENDS}


@settings(max_examples=25, deadline=None)
@given(some.lists(some.tuples(some.sampled_from(JobState), some.integers(0, 2)), max_size=30))
def test_any_sequence_of_moves_by_several_hands_leaves_one_true_history(moves: list[tuple[JobState, int]]) -> None:
    """Three hands hold what they last saw of a job, and each moves it on from there: only a true sight moves it."""
    with TemporaryDirectory() as folder:
        store = store_in(Path(folder))
        seen = [store.add(spec("job"))[0]] * 3
        for new, hand in moves:
            before = store.get("job")
            if new in MOVES[seen[hand].state]:
                moved = store.move(seen[hand], new)
                is_true = (seen[hand].state, seen[hand].attempt) == (before.state, before.attempt)
                assert (moved is not None) == is_true
                assert store.get("job") == (moved or before)
            seen[hand] = store.get("job")
        history = store.moves("job")
        assert [each.old for each in history] == ["", *(each.new for each in history[:-1])]
        assert history[-1].new == store.get("job").state
        again = sum(each.new == JobState.QUEUED and each.old in ENDS for each in history)
        assert store.get("job").attempt == 1 + again
        store.close()


def test_a_move_that_is_none_is_a_bug(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    job, _ = store.add(spec("job"))
    with pytest.raises(AssertionError):
        store.move(job, JobState.SUCCEEDED)
    store.close()
