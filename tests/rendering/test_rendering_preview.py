"""The coloured view of a rendered sequence."""

from pathlib import Path

import pytest
from small_models import CHATML_SPECIALS, assistant, byte_level, conversation, renderer_of, sentence_piece, user
from tokenizers import Tokenizer

from tunelab.rendering.preview import preview, to_rich


@pytest.mark.parametrize("tokenizer", [byte_level(), sentence_piece(CHATML_SPECIALS)])
def test_pain_05_the_view_shows_what_is_trained_and_all_of_the_text(tmp_path: Path, tokenizer: Tokenizer) -> None:
    renderer = renderer_of(tmp_path, tokenizer)
    (sequence,) = renderer.render(conversation(user("how 🙂"), assistant("olá <|im_end|>")), index=0, max_length=100)
    spans = preview(sequence, renderer)
    assert "".join(span.text for span in spans) == renderer.decode([*sequence.prompt_ids, *sequence.completion_ids])
    assert "".join(span.text for span in spans if span.trained) == renderer.decode(sequence.completion_ids)
    assert [span.text for span in spans if span.special] == ["<|im_start|>", "<|im_end|>", "<|im_start|>", "<|im_end|>"]


def test_the_terminal_view_marks_line_ends_and_lets_no_row_write_to_the_terminal(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path)
    (sequence,) = renderer.render(conversation(user("\x1b[2J\x9b1m"), assistant("b\nc")), index=0, max_length=100)
    text = to_rich(preview(sequence, renderer))
    assert "␛[2J" in text.plain
    assert "\x1b" not in text.plain
    assert "\x9b" not in text.plain
    assert "b↵\nc" in text.plain
    styles = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert "green" in styles["b↵\nc"]
    assert "green" not in styles["<|im_start|>"]
