"""Two changes of one file become one file, if they do not overlap; nothing of yours is lost without a conflict."""

from hypothesis import example, given
from hypothesis import strategies as st

from tunelab.workspace.projects.merge import merge

THEN = b"epochs: 1\nlearning_rate: 2e-4\nsave_steps: 64\nseed: 42\n"

LINES = st.lists(st.sampled_from([b"a", b"b", b"c", b"{", b"}", b""]), max_size=7)
TEXTS = LINES.map(b"\n".join)


def test_changes_of_neighbouring_lines_are_both_taken() -> None:
    yours = THEN.replace(b"2e-4", b"1e-3")
    now = THEN.replace(b"epochs: 1", b"epochs: 3").replace(b"save_steps: 64", b"save_steps: 32") + b"weight_decay: 0\n"
    merged = merge(THEN, yours, now)
    assert merged.num_conflicts == 0
    assert merged.content == b"epochs: 3\nlearning_rate: 1e-3\nsave_steps: 32\nseed: 42\nweight_decay: 0\n"


def test_two_changes_of_one_line_conflict_and_the_rest_is_merged_with_the_line_of_the_template() -> None:
    yours = THEN.replace(b"2e-4", b"1e-3").replace(b"42", b"7")
    merged = merge(THEN, yours, THEN.replace(b"2e-4", b"5e-4"))
    assert merged.num_conflicts == 1
    assert merged.content == THEN.replace(b"2e-4", b"5e-4").replace(b"42", b"7")


def test_a_change_that_both_made_is_made_once() -> None:
    both = THEN.replace(b"seed: 42\n", b"seed: 42\nweight_decay: 0\n")
    assert merge(THEN, both, both).content == both
    assert merge(THEN, both, both).num_conflicts == 0


def test_line_ends_byte_order_mark_and_a_missing_last_newline_stay_yours() -> None:
    yours = b"\xef\xbb\xbf" + THEN.replace(b"42", b"7").replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    merged = merge(THEN, yours, THEN.replace(b"epochs: 1", b"# passes\nepochs: 2"))
    assert merged.num_conflicts == 0
    assert merged.content == yours.replace(b"epochs: 1", b"# passes\r\nepochs: 2")


def test_two_insertions_at_one_place_conflict_since_their_order_would_be_a_guess() -> None:
    merged = merge(THEN, b"# mine\n" + THEN, b"# theirs\n" + THEN)
    assert merged.num_conflicts == 1


@given(then=TEXTS, yours=TEXTS, now=TEXTS)
@example(then=b"a\n{", yours=b"{\na\nc\nb\na\n{", now=b"a\nb\n{")  # lines that repeat, lined up in two ways
def test_a_merge_loses_nothing_and_twice_is_once(then: bytes, yours: bytes, now: bytes) -> None:
    merged = merge(then, yours, now)
    if not merged.num_conflicts:
        again = merge(then, merged.content, now)
        assert (again.content, again.num_conflicts) == (merged.content, 0)
        for line in set(yours.split(b"\n")) - set(then.split(b"\n")):  # what you added is there
            assert line in merged.content.split(b"\n")
        for line in set(now.split(b"\n")) - set(then.split(b"\n")):
            assert line in merged.content.split(b"\n")
    assert merge(then, yours, then).content == yours
    assert merge(then, then, now).content == now


@given(then=TEXTS, yours=TEXTS, now=TEXTS)
def test_other_line_ends_change_nothing_of_what_is_merged(then: bytes, yours: bytes, now: bytes) -> None:
    merged, windows = merge(then, yours, now), merge(then, yours.replace(b"\n", b"\r\n"), now)
    assert windows.content.replace(b"\r\n", b"\n") == merged.content
    assert windows.num_conflicts == merged.num_conflicts
