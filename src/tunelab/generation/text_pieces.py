"""Tokens become text while they arrive. Imports no torch."""

from collections.abc import Callable, Iterable, Iterator, Sequence

# Tokens before the new ones that are decoded along: some tokenizers drop the space in front of the first token.
_CONTEXT = 8


def text_pieces(token_ids: Iterable[int], decode: Callable[[Sequence[int]], str]) -> Iterator[str]:
    """Yield the text of a stream of tokens, piece by piece; joined, the pieces are the text of all tokens.

    A character whose bytes are spread over tokens is held back until it is whole. What is still incomplete at the end
    is yielded as the tokenizer decodes it (U+FFFD).
    """
    context: list[int] = []
    held: list[int] = []
    for token in token_ids:
        held.append(token)
        piece = _new_text(context, held, decode)
        if piece and not piece.endswith("�"):
            yield piece
            context, held = [*context, *held][-_CONTEXT:], []
    rest = _new_text(context, held, decode)
    if rest:
        yield rest


def _new_text(context: list[int], held: list[int], decode: Callable[[Sequence[int]], str]) -> str:
    return decode([*context, *held])[len(decode(context)) :] if held else ""
