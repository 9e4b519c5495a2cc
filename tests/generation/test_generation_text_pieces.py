from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tunelab.generation.text_pieces import text_pieces


def byte_tokenizer() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


BYTES = byte_tokenizer()


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_the_pieces_joined_are_the_text(text):
    pieces = list(text_pieces(BYTES.encode(text).ids, BYTES.decode))
    assert "".join(pieces) == text


def test_no_piece_holds_half_a_character():
    text = "é a ação 🙂 das três 日本語"
    pieces = list(text_pieces(BYTES.encode(text).ids, BYTES.decode))
    assert len(pieces) == len(text)
    assert not any("\ufffd" in piece for piece in pieces)


def test_bytes_left_over_at_the_end_are_not_swallowed():
    ids = BYTES.encode("a🙂").ids[:-1]
    assert "".join(text_pieces(ids, BYTES.decode)) == BYTES.decode(ids) == "a\ufffd"


def test_pieces_arrive_before_the_stream_ends():
    taken = []

    def slow():
        for token in BYTES.encode("abc").ids:
            taken.append(token)
            yield token

    assert next(text_pieces(slow(), BYTES.decode)) == "a"
    assert len(taken) == 1
