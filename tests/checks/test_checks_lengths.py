"""What each max_length would cut, and the proof of the loss mask."""

import itertools

from check_contexts import a_set, chats, context, rendered
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.checks.report.statistics import CandidateLength, Statistics, statistics
from tunelab.conversations.conversation import Conversation
from tunelab.rendering.bulk.render_all import render_all
from tunelab.rendering.rendered import Dropped, Rendered
from tunelab.sources.row import Origin


def of(*sequences: Rendered, dropped: tuple[Dropped, ...] = (), max_length: int = 64, rows: int = 20) -> Statistics:
    looked_at = context(train=chats(rows), rendered_train=a_set(sequences, dropped=dropped), max_length=max_length)
    return statistics(looked_at, count_repeats=lambda _: {})


def candidates(found: Statistics) -> dict[int, CandidateLength]:
    assert found.tokens is not None
    return {each.max_length: each for each in found.tokens.candidates}


def test_a_candidate_length_says_what_it_would_cut() -> None:
    cut = Dropped(origin=Origin(path="a", line=3), turn=1, reason="answer cut away", num_tokens=90, num_trained=10)
    sequences = (rendered(1, range(20), range(20)), rendered(2, range(30), range(34), cut_completion=36))
    found = candidates(of(*sequences, dropped=(cut,)))
    assert [length for length, each in found.items() if each.is_current] == [64]
    at = found[64]
    assert (at.num_cut, at.num_lost, at.tokens_cut, at.trained_tokens_cut) == (2, 1, 62, 46)
    assert round(at.share_cut, 3) == 0.667
    longest = found[100]
    assert (longest.num_cut, longest.tokens_cut) == (0, 0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 200)), min_size=1, max_size=20))
def test_a_longer_length_never_cuts_more_and_the_longest_cuts_nothing(sizes: list[tuple[int, int]]) -> None:
    sequences = [rendered(n, range(prompt), range(answer)) for n, (prompt, answer) in enumerate(sizes, start=1)]
    found = list(candidates(of(*sequences)).values())
    assert [each.max_length for each in found] == sorted({each.max_length for each in found})
    for one, other in itertools.pairwise(found):
        assert other.tokens_cut <= one.tokens_cut
        assert other.trained_tokens_cut <= one.trained_tokens_cut
    for each in found:
        lost = [(prompt, answer) for prompt, answer in sizes if prompt >= each.max_length]
        assert each.num_lost == len(lost)
    assert max(sum(each) for each in sizes) in {each.max_length for each in found if not each.tokens_cut}


def test_plain_text_is_split_and_has_no_candidates() -> None:
    assert candidates(of(rendered(1, (), range(50), turn=-1))) == {}


def test_the_loss_mask_is_proven_in_figures() -> None:
    words = of(rendered(1, range(6), range(2)), rendered(2, range(8), ()), rows=4).mask_in_words()
    assert words == "Loss falls on 2 of 16 tokens (12.5 %); rows with no trained token: 3 of 4."
    assert statistics(context(), count_repeats=lambda _: {}).mask_in_words() == ""


def test_a_row_that_was_left_out_for_its_length_keeps_its_lengths(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from tunelab.rendering.config import RenderingConfig
    from tunelab.rendering.load_renderer import load_renderer
    from tunelab.starter import NANO_FOLDER

    renderer = load_renderer(NANO_FOLDER, RenderingConfig(), base=tmp_path)
    items: list[Conversation] = chats(3)
    whole = render_all(items, renderer, max_length=2048)
    dropped = render_all(items, renderer, max_length=8, on_too_long="drop").dropped
    assert [(each.num_tokens, each.num_trained) for each in dropped] == [
        (each.num_tokens, len(each.completion_ids)) for each in whole.sequences
    ]
