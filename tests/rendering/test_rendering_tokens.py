"""A text's ids are those of its pieces, however often a piece stood there before and wherever the text is cut."""

import random
from pathlib import Path

import pytest
from small_models import byte_level, sentence_piece
from tokenizers import Regex, pre_tokenizers

from tunelab.rendering.tokens.marked_text import Marked
from tunelab.rendering.tokens.tokenizer import Tokens
from tunelab.rendering.tokens.word_cache import WORD_PATTERNS


def test_what_was_forgotten_to_save_memory_is_encoded_again() -> None:
    tokenizer = byte_level()
    tokens = Tokens(tokenizer.to_str().encode(), "", cached_tokens=10, cached_words=3)
    for number in range(40):
        text = f"one{number % 7} two three{number % 11} four"
        assert list(tokens.ids(Marked(text))) == tokenizer.encode(text, add_special_tokens=False).ids
        assert len(tokens._words) <= 3 + 4
        assert sum(map(len, tokens._units.values())) <= 10 + 40


@pytest.mark.parametrize("pattern", [None, *sorted(WORD_PATTERNS)])
def test_words_one_after_another_are_the_ids_of_the_text(pattern: str | None) -> None:
    tokenizer = byte_level()
    if pattern:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        end = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, end])
    tokens = Tokens(tokenizer.to_str().encode(), "")
    assert tokens._words.splits
    pieces = [
        "a",
        "the",
        "Hello",
        " ",
        "  ",
        "\n",
        "é",
        "e\u0301",
        "'s",
        "1",
        "23",
        ".",
        ",",
        "_",
        "!?",
        "\r\n",
        "\t",
        "\u00a0",
        "\u2003",
        "\x1c",
        "\x85",
        "\u0308",
        "<|im_end|>",
        "字",
        *[" "] * 8,
    ]
    dice = random.Random(11)
    for _ in range(5000):
        text = "".join(dice.choices(pieces, k=dice.randrange(12)))
        assert list(tokens.ids(Marked(text))) == tokenizer.encode(text, add_special_tokens=False).ids, text


@pytest.mark.parametrize("kind", ["bytes", "first", "prepend"])
def test_beginnings_have_the_ids_that_they_have_alone(kind: str, tmp_path: Path) -> None:
    from test_rendering_word_cache import flagged

    tokenizer = byte_level() if kind == "bytes" else sentence_piece(scheme=kind)
    added = [flagged("<|r|>", rstrip=True), flagged("<|l|>", lstrip=True), flagged("<|r|>more"), flagged("<|w|>")]
    added.append(flagged("<|a b|>"))
    tokenizer.add_tokens(added)
    tokens = Tokens(tokenizer.to_str().encode(), "")
    pieces = [*(str(token.content) for token in added), "a", " ", "\n", "hello", "é", "<|", " b"]
    dice = random.Random(5)
    for _ in range(150):
        texts: list[tuple[Marked, list[int]]] = []
        text = ""
        for _ in range(3):  # each begins as the one before it, up to a place that may lie inside a token
            text = text[: dice.randrange(len(text) + 1)] + "".join(dice.choices(pieces, k=dice.randrange(9)))
            literals = tuple(m.span() for m in tokens.control.finditer(text) if dice.random() < 0.1)
            texts.append((Marked(text, literals), sorted(dice.randrange(len(text) + 1) for _ in range(3))))
        for (marked, stops), found in zip(texts, tokens.beginnings(texts), strict=True):
            for stop, ids in zip(stops, found, strict=True):
                assert list(ids) == list(tokens.ids(marked.part(0, stop))), (texts, stop)
                if not marked.literals:
                    assert list(ids) == tokenizer.encode(marked.text[:stop], add_special_tokens=False).ids


def test_the_worked_example_of_the_units_is_how_a_text_is_cut() -> None:
    tokenizer = byte_level()
    tokenizer.add_special_tokens(["<s>", "<e>"])
    tokens = Tokens(tokenizer.to_str().encode(), "")
    cut = tokens._cut(Marked("<s>hi<e><s>yo"), None)
    assert (cut.units, cut.cuts, cut.seen) == (["<s>hi", "<e>", "<s>yo"], [0, 5, 8], [0, 8, 11])
    assert (cut.rest(5), cut.rest(12)) == ((0, "<s>hi"), (2, "<s>y"))
    following = tokens._cut(Marked("<s>hi<e><s>yo<e>"), cut)
    assert following.cuts == [0, 5, 8, 13]
