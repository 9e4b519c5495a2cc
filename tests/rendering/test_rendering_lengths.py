"""What exceeds max_length is cut, left out or refused, and always counted."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import assistant, byte_level, conversation, renderer_of, sentence_piece, user

from tunelab.errors import DataError
from tunelab.rendering.bulk.render_all import render_all
from tunelab.rendering.renderer import Renderer

ANSWER = "one two three four five six seven eight nine ten"


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """ChatML."""
    return renderer_of(tmp_path_factory.mktemp("model"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(max_length=st.integers(8, 80))
def test_pain_01_every_cut_token_is_counted_and_cut_from_the_end(renderer: Renderer, max_length: int) -> None:
    rows = [conversation(user("q " * n), assistant(ANSWER), line=n + 1) for n in range(0, 40, 5)]
    place = {row.origin.line: number for number, row in enumerate(rows)}
    full = render_all(rows, renderer, max_length=10_000)
    cut = render_all(rows, renderer, max_length=max_length)
    whole = {s.conversation: s for s in full.sequences}
    kept = {s.conversation: s for s in cut.sequences}
    gone = {item.origin.line for item in cut.dropped}
    assert len(kept) + len(gone) == len(rows)
    assert cut.num_cut == sum(whole[n].num_tokens > max_length for n in kept)
    assert cut.num_cut_tokens == sum(whole[n].num_tokens - s.num_tokens for n, s in kept.items())
    for number, sequence in kept.items():
        ids = [*sequence.prompt_ids, *sequence.completion_ids]
        assert ids == [*whole[number].prompt_ids, *whole[number].completion_ids][: len(ids)]
        assert len(sequence.completion_ids)
        assert sequence.ends == (not sequence.cut_completion)
    for item in cut.dropped:
        assert item.reason == "answer cut away"
        assert len(whole[place[item.origin.line]].prompt_ids) >= max_length


def test_one_conversation_shows_what_cutting_left_of_it(renderer: Renderer) -> None:
    row = conversation(user("q " * 30), assistant(ANSWER))
    (whole,) = renderer.render(row, index=0, max_length=1000)
    (cut,) = renderer.render(row, index=0, max_length=20)
    assert list(cut.prompt_ids) == list(whole.prompt_ids[:20])
    assert (cut.cut_prompt, cut.cut_completion) == (len(whole.prompt_ids) - 20, len(whole.completion_ids))
    assert not len(cut.completion_ids)
    assert not cut.ends


def test_pain_02_drop_leaves_out_and_counts(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path)
    rows = [conversation(user("q"), assistant("a"), line=1), conversation(user("q"), assistant(ANSWER * 9), line=2)]
    rendered = render_all(rows, renderer, max_length=60, on_too_long="drop")
    assert [sequence.origin.line for sequence in rendered.sequences] == [1]
    assert [(str(item.origin), item.turn, item.reason) for item in rendered.dropped] == [
        ("train.jsonl:2", 1, "too long")
    ]
    assert rendered.num_cut == 0


def test_refuse_names_the_row_and_its_length(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path)
    rows = [conversation(user("q"), assistant(ANSWER * 9), line=2)]
    length = render_all(rows, renderer, max_length=10_000).sequences[0].num_tokens
    with pytest.raises(DataError, match=rf"train\.jsonl:2: .* have {length} tokens; expected at most 60"):
        render_all(rows, renderer, max_length=60, on_too_long="refuse")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from("ab é\n🙂<|im_end|>"), max_size=60), max_length=st.integers(8, 40))
def test_plain_text_becomes_consecutive_sequences_and_loses_nothing(
    renderer: Renderer, text: str, max_length: int
) -> None:
    rendered = render_all([conversation(text=text)], renderer, max_length=max_length)
    ids = np.concatenate([sequence.completion_ids for sequence in rendered.sequences])
    assert renderer.decode(ids[:-1]) == text
    assert ids[-1] == renderer.eos_id
    assert all(s.num_tokens == max_length for s in rendered.sequences[:-1])
    assert all(not len(s.prompt_ids) and s.turn == -1 for s in rendered.sequences)
    assert [s.ends for s in rendered.sequences] == [False] * (len(rendered.sequences) - 1) + [True]
    assert rendered.num_cut == 0


def test_plain_text_begins_with_bos_where_the_tokenizer_adds_one(tmp_path: Path) -> None:
    adds = renderer_of(tmp_path / "a", sentence_piece(), None, bos="<s>", eos="</s>", add_bos_token=True)
    adds_not = renderer_of(tmp_path / "b", byte_level(), None, bos="<|im_start|>")
    first = render_all([conversation(text="hello")], adds, max_length=100).sequences[0]
    assert first.completion_ids[0] == adds.bos_id
    assert first.completion_ids[-1] == adds.eos_id
    other = render_all([conversation(text="hello")], adds_not, max_length=100).sequences[0]
    assert adds_not.decode(other.completion_ids) == "hello<|im_end|>"
