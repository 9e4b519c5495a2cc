"""An answer ends before a stop string, however its tokens lie across it, in bulk and as a stream."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_generation_text_pieces import BYTES

from tunelab.generation.completion import Sampling
from tunelab.generation.responder import Responder
from tunelab.generation.stop_strings import before_stop, until_stop
from tunelab.generation.text_pieces import text_pieces
from tunelab.generation.trie import can_share

FEW = st.text(alphabet="ab é", max_size=12)


@given(FEW, st.text(alphabet="ab é", min_size=1, max_size=4), st.lists(st.integers(0, 12), max_size=4))
@settings(max_examples=200, deadline=None)
def test_pieces_joined_are_the_text_before_the_stop_string_however_it_is_cut(text, stop, cuts):
    ends = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(ends)]
    expected = before_stop(text, [stop])
    assert "".join(until_stop(pieces, [stop])) == (text if expected is None else expected)


@given(FEW, st.text(alphabet="é🙂", min_size=1, max_size=3), FEW)
@settings(max_examples=100, deadline=None)
def test_a_stop_string_is_found_across_the_bytes_of_its_characters(before, stop, after):
    pieces = text_pieces(BYTES.encode(before + stop + after).ids, BYTES.decode)
    assert "".join(until_stop(pieces, [stop])) == before_stop(before + stop + after, [stop])


def test_nothing_that_could_begin_a_stop_string_is_said_early_and_the_rest_at_once():
    said = until_stop(["he", "l", "lo w", "x", "loser"], ["low", "world"])
    assert list(said) == ["he", "llo ", "wx", "loser"]
    assert list(until_stop(["he", "llo", " w", "orld", "!"], ["world"])) == ["he", "llo", " "]


def test_no_token_is_taken_after_a_stop_string():
    taken = []

    def pieces():
        for piece in ("a", "END", "b"):
            taken.append(piece)
            yield piece

    assert list(until_stop(pieces(), ["END"])) == ["a"]
    assert taken == ["a", "END"]


class Letters:
    """A renderer whose tokens are letters."""

    stop_ids = (2,)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        return "".join(chr(ord("A") + int(token)) for token in ids)


@pytest.fixture
def responder(network):
    def make(*stop_strings: str, **sampling: object) -> Responder:
        return Responder(
            network=network,
            adapter=None,
            renderer=Letters(),
            sampling=Sampling(max_new_tokens=24, stop_strings=stop_strings, **sampling),
        )

    return make


def test_an_answer_ends_before_its_first_stop_string_and_writes_no_token_after_it(responder, prompts):
    plain = [each.text for each in responder().answers(prompts)]
    stop = next(text for text in plain if len(text) > 10)[4:7]
    answers = responder(stop, "not there").answers(prompts)
    assert [each.text for each in answers] == [text.partition(stop)[0] for text in plain]
    stopped = [each for each, text in zip(answers, plain, strict=True) if stop in text]
    assert stopped
    for each in stopped:
        assert each.completion.stopped
        assert len(each.completion.token_ids) == len(each.text) + len(stop)


def test_a_row_that_met_a_stop_string_leaves_the_batch(responder, network, prompts):
    batch_sizes = []
    assert can_share(network)
    hook = network.model.register_forward_pre_hook(
        lambda module, args, kwargs: batch_sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    try:
        stop = responder().answers(prompts[:1])[0].text[:2]
        batch_sizes.clear()
        answers = responder(stop).answers(prompts)
    finally:
        hook.remove()
    # One pass writes a token of each row in it, or finds a stop token; the first one reads all prompts as one row.
    ids = [each.completion.token_ids for each in answers]
    by_token = [each.completion.stopped and stop not in Letters().decode(each.completion.token_ids) for each in answers]
    assert answers[0].text == ""
    assert len(prompts) - 1 + sum(batch_sizes) == sum(map(len, ids)) + sum(by_token)
    assert sum(by_token) > 0


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.5, "seed": 3}], ids=["greedy", "sampled"])
def test_a_streamed_answer_is_the_one_in_bulk(responder, prompts, sampling):
    prompt = prompts[:1]
    plain = responder(**sampling).answers(prompt)[0].text
    assert "".join(responder(**sampling).stream(prompt[0])) == plain
    stops = (plain[3:5], plain[-2:])
    cut = responder(*stops, **sampling).answers(prompt)[0].text
    assert cut == "".join(responder(*stops, **sampling).stream(prompt[0])) == before_stop(plain, stops)


def test_draws_of_another_number_differ_and_those_of_one_do_not(responder, prompts):
    hot = responder(temperature=2.0)
    streams = ["".join(hot.stream(np.array(prompts[0]), draw=draw)) for draw in (0, 0, 1)]
    assert streams[0] == streams[1] != streams[2]
