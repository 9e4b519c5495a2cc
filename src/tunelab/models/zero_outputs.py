"""Outputs of layers whose weights are all zero: DoRA would divide by their norm. Imports no torch."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunelab.models.weight_headers import StoredTensor, StoredWeights, stored_tensors

MOST_BYTES = 2**30
"""Of all weights that are looked at: a second of reading, when no copy of the files is in memory."""
_KINDS: Mapping[str, type[np.unsignedinteger]] = {
    "F64": np.uint64,
    "F32": np.uint32,
    "F16": np.uint16,
    "BF16": np.uint16,
}
_ROWS = 1024
_FEW = 4
"""Weights of a row that are looked at first: it is rare that they are zero and others are not."""


def count_zero_outputs(
    folder: Path, weights: StoredWeights, modules: Iterable[str], *, most_bytes: int = MOST_BYTES
) -> dict[str, tuple[int, int]]:
    """Return, for each of some modules, how many of its outputs have only zero weights, and its outputs.

    Empty if the modules take more than `most_bytes`, or their weights cannot be read: loading reports that.
    """
    tensors = stored_tensors(folder) or {}
    tensors_of_modules = {name: tensors[f"{name}.weight"] for name in dict.fromkeys(modules)}
    if sum(tensor.num_bytes for tensor in tensors_of_modules.values()) > most_bytes:
        return {}
    counts = {}
    try:
        for name, tensor in tensors_of_modules.items():
            counts[name] = (_count(tensor, in_columns=name in weights.in_columns), weights.layers[name][1])
    except (OSError, ValueError):  # a file that ends before its header says
        return {}
    return counts


def zero_outputs_in_words(counts: Mapping[str, tuple[int, int]], *, section: str = "lora") -> tuple[str, str]:
    """Return what is wrong if DoRA meets outputs without weights, and the remedy; nothing if it meets none.

    `section` is that of the adapter in its recipe.
    """
    names = dict.fromkeys((name.rsplit(".", 1)[-1] for name in counts), 0)
    for name, (count, _) in counts.items():
        names[name.rsplit(".", 1)[-1]] += count
    if not any(names.values()):
        return "", ""
    per_name = ", ".join(f"{name} {count:,}" for name, count in names.items() if count)
    first = next(name for name, (count, _) in counts.items() if count)
    whole = [name for name, count in names.items() if not count]
    others = f", or take only layers without such rows: {section}.target_modules=[{', '.join(whole)}]" if whole else ""
    zeros, outputs = counts[first]
    return (
        "DoRA divides by the norm of each output's weights, and they are all zero in "
        f"{zeros:,} of {outputs:,} rows of {first} (such rows: {per_name})",
        f"Train LoRA without it: {section}.use_dora=false{others}.",
    )


def _count(tensor: StoredTensor, *, in_columns: bool) -> int:
    kind = _KINDS[tensor.dtype]
    stored = np.memmap(tensor.file, dtype=kind, mode="r", offset=tensor.start, shape=tensor.shape)
    unsigned = kind(2 ** (8 * stored.itemsize - 1) - 1)  # -0.0 is zero, too
    return (
        _zero_columns(stored, unsigned) if in_columns else sum(_zero_rows(each, unsigned) for each in _blocks(stored))
    )


def _zero_rows(block: NDArray[np.unsignedinteger], unsigned: np.unsignedinteger) -> int:
    suspects = np.flatnonzero(~(block[:, :_FEW] & unsigned).any(axis=1))
    return sum(1 for row in suspects if not (block[row] & unsigned).any())


def _zero_columns(stored: NDArray[np.unsignedinteger], unsigned: np.unsignedinteger) -> int:
    is_zero = np.ones(stored.shape[1], dtype=bool)
    for block in _blocks(stored):
        is_zero &= ~(block & unsigned).any(axis=0)
        if not is_zero.any():
            break
    return int(is_zero.sum())


def _blocks(stored: NDArray[np.unsignedinteger]) -> Iterator[NDArray[np.unsignedinteger]]:
    return (stored[start : start + _ROWS] for start in range(0, len(stored), _ROWS))
