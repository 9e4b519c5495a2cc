"""Where prompt and completion meet inside what would be one token."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import assistant, byte_level, conversation, renderer_of, sentence_piece, user

from tunelab.rendering.renderer import Renderer

OPEN_WORD = (  # the prompt ends in the middle of a word or behind a space: merges cross the seam
    "{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content }} A: {% else %}{{ m.content }}{{ eos_token }}"
    "{% endif %}{% endfor %}"
)


@pytest.fixture(scope="module")
def renderers(tmp_path_factory: pytest.TempPathFactory) -> list[Renderer]:
    """Byte-level, and SentencePiece-like with each scheme of the space in front."""
    folder = tmp_path_factory.mktemp("models")
    pieces = {scheme: sentence_piece(scheme=scheme) for scheme in ("first", "always", "prepend", "never")}
    tokenizers = {"bytes": byte_level(("<s>", "</s>"))} | pieces
    return [renderer_of(folder / name, each, OPEN_WORD, bos="<s>", eos="</s>") for name, each in tokenizers.items()]


def test_the_prompts_own_ids_are_kept_and_the_case_is_flagged(renderers: list[Renderer]) -> None:
    for renderer in renderers:
        (sequence,) = renderer.render(conversation(user("how"), assistant("answer")), index=0, max_length=100)
        assert sequence.seam
        assert np.array_equal(sequence.prompt_ids, renderer.prompt_ids([user("how")]))
        assert renderer.decode([*sequence.prompt_ids, *sequence.completion_ids]).strip() == "Q: how A: answer</s>"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=st.text(st.sampled_from("helo wr,.\n é{<1🙂"), min_size=1, max_size=10))
def test_the_completion_alone_gives_exactly_the_answers_text(renderers: list[Renderer], answer: str) -> None:
    for renderer in renderers:
        (sequence,) = renderer.render(conversation(user("how"), assistant(answer)), index=0, max_length=100)
        prompt = renderer.decode(sequence.prompt_ids)
        assert renderer.decode([*sequence.prompt_ids, *sequence.completion_ids]) == f"{prompt}{answer}</s>"


def test_a_prompt_that_ends_at_a_control_token_has_no_seam(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path)
    (sequence,) = renderer.render(conversation(user("how"), assistant(" answer")), index=0, max_length=100)
    assert not sequence.seam
