"""How many tokens get their logits at a time. Imports no torch."""

_CPU_BYTES, _GPU_BYTES = 32 * 2**20, 512 * 2**20
"""Of the float32 logits of a chunk. A CPU needs no more to keep the pace of its matrix products, see
docs/experiments.md; a GPU needs a thousand tokens or so, whatever the vocabulary."""


def chunk_tokens(vocabulary: int, *, on_gpu: bool) -> int:
    """Return how many trained tokens go through the head at a time.

    On a CPU 32 MiB hold the logits of 170 tokens over 49,152 words, or of 4,096 tokens over 2,048.
    """
    return max(1, (_GPU_BYTES if on_gpu else _CPU_BYTES) // (4 * vocabulary))
