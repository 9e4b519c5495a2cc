"""The weights of a model as the headers of its files name them: enough to find and count layers. Imports no torch."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from tunelab.models.architecture import running_kinds_in
from tunelab.models.config import BITS, Quantization
from tunelab.models.estimate import num_experts
from tunelab.models.layer_roles import Modules, role_of
from tunelab.models.model_files import read_description

WEIGHTS_FILE, INDEX_FILE = "model.safetensors", "model.safetensors.index.json"

_MOST_HEADER_BYTES = 100 * 2**20  # what the format itself allows
_FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}  # bytes
_HEADS = ("lm_head", "embed_out", "score")
_ROUTERS = ("gate", "router")
# Modules of these are not named or shaped in a loaded network as they are in the files.
_OTHERWISE = ("vision", "audio", "visual", "mtp.", ".scales", ".qweight", ".absmax")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """Where a tensor is stored."""

    dtype: str
    """As the format names it."""
    shape: tuple[int, ...]
    file: Path
    start: int
    """Byte of the file at which it begins."""
    end: int
    """Byte of the file before which it ends."""

    @property
    def num_bytes(self) -> int:
        """How many it takes."""
        return prod(self.shape) * _FLOATS[self.dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeights:
    """What the headers say."""

    kind: str
    """What config.json calls the model, such as ``llama``."""
    num_weights: int
    num_expert_weights: int
    """How many of them are experts', which a loaded network holds in one tensor a layer: none is a layer to adapt."""
    layers: Mapping[str, tuple[int, int]]
    """(inputs, outputs) of the modules that an adapter could train, by full name; the output layer is none of them."""
    in_columns: frozenset[str]
    """Those of `layers` that are stored (inputs, outputs), as embeddings are; the others are (outputs, inputs)."""
    dtype: str
    """As the format names it: F32, BF16, F16; the one that most weights have."""
    sizes: Mapping[str, int]
    """Weights of each module by full name, the output layer among them; no experts'."""
    tied: tuple[str, ...]
    """Embeddings and output layer, if one weight serves both; empty otherwise."""

    def modules(self, *, num_layers: int) -> Modules:
        """Return what of the model can be trained; its config gives the number of layers."""
        return Modules(kind=self.kind, num_layers=num_layers, adaptable=self.layers, sizes=self.sizes, tied=self.tied)

    def loaded_bytes(self, *, bytes_per_weight: int, quantization: Quantization | None) -> int:
        """Return what the weights take in memory; `quantization` packs those of the layers, embeddings apart."""
        if quantization is None:
            return self.num_weights * bytes_per_weight
        linear = [shape for name, shape in self.layers.items() if role_of(name) != "embeddings"]
        packed = sum(inputs * outputs for inputs, outputs in linear)
        return (self.num_weights - packed) * bytes_per_weight + packed * BITS[quantization] // 8


def read_headers(folder: Path) -> StoredWeights | None:
    """Return what the safetensors files of a base model hold, without reading a weight.

    None if there are none, or if a loaded network is not laid out as its files are: several kinds of input,
    quantized weights, layers with a state, experts by other names. Only loading can tell then.
    """
    if running_kinds_in(folder):
        return None
    tensors = stored_tensors(folder)
    if not tensors or any(word in name for name in tensors for word in _OTHERWISE):
        return None
    counts: dict[str, int] = {}
    for each in tensors.values():
        counts[each.dtype] = counts.get(each.dtype, 0) + prod(each.shape)
    if counts.keys() - _FLOATS.keys():
        return None
    config = read_description(folder)
    experts = {name for name in tensors if _parent_of_experts(name)}
    if bool(experts) != bool(num_experts(config)):
        return None
    routers = {f"{_parent_of_experts(name)}.{router}.weight" for name in experts for router in _ROUTERS}
    kind = str(config.get("model_type") or "this model")
    turned = kind in ("gpt2", "openai-gpt", "imagegpt")  # they store (inputs, outputs)
    shapes = {
        name.removesuffix(".weight"): each.shape
        for name, each in tensors.items()
        if name.endswith(".weight") and len(each.shape) == 2 and not _is_head(name) and name not in experts | routers
    }
    sizes = _sizes({name: each for name, each in tensors.items() if name not in experts})
    tied = _tied(sizes, shapes, config)
    stored_twice = sum(sizes.get(head, 0) for head in tied[1:])
    sizes.update((head, sizes[tied[0]]) for head in tied[1:])
    in_columns = frozenset(name for name in shapes if turned or _is_embedding(name))
    return StoredWeights(
        kind=kind,
        num_weights=sum(counts.values()) - stored_twice,
        num_expert_weights=sum(prod(tensors[name].shape) for name in experts),
        layers={
            name: (rows, columns) if name in in_columns else (columns, rows) for name, (rows, columns) in shapes.items()
        },
        in_columns=in_columns,
        dtype=max(counts, key=lambda dtype: counts[dtype]),
        sizes=sizes,
        tied=tied,
    )


def _sizes(tensors: Mapping[str, StoredTensor]) -> dict[str, int]:
    sizes: Counter[str] = Counter()
    for name, tensor in tensors.items():
        module, _, part = name.rpartition(".")
        if part in ("weight", "bias"):
            sizes[module] += prod(tensor.shape)
    return dict(sizes)


def _tied(
    sizes: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return embeddings and head if one weight serves both: the config says so, or no head is stored."""
    vocabulary = config.get("vocab_size")
    embeddings = next((name for name, shape in shapes.items() if _is_embedding(name) and shape[0] == vocabulary), "")
    head = next(filter(_is_head, sizes), "")
    is_tied = embeddings and (not head or config.get("tie_word_embeddings"))
    return (embeddings, head or _HEADS[0]) if is_tied else ()


def stored_tensors(folder: Path) -> dict[str, StoredTensor] | None:
    """Return every tensor in the safetensors files of a folder by name; None if a header cannot be read."""
    tensors: dict[str, StoredTensor] = {}
    for file in weight_files(folder):
        header = _header(file)
        if header is None:
            return None
        tensors |= header
    return tensors


def weight_files(folder: Path) -> Sequence[Path]:
    """Return the safetensors files that the model in a folder is loaded from, by its index if it has one."""
    if (whole := folder / WEIGHTS_FILE).is_file():
        return [whole]
    names = read_description(folder, INDEX_FILE).get("weight_map", {})
    # Names come from a file of the model: no path among them leads elsewhere.
    return [folder / name for name in sorted(set(names.values())) if isinstance(name, str) and Path(name).name == name]


def fault_in(file: Path) -> str:
    """Return what is wrong with a safetensors file as a whole: it is cut, or has no header; nothing if all is there."""
    header, size = _header(file), file.stat().st_size
    if header is None:
        return "this is no safetensors file: its header cannot be read"
    end = max((tensor.end for tensor in header.values()), default=0)
    return f"the file is cut: {size:,} of {end:,} bytes are there" if size < end else ""


def _header(file: Path) -> dict[str, StoredTensor] | None:
    try:
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            if size > min(_MOST_HEADER_BYTES, file.stat().st_size):
                return None
            header = json.loads(stream.read(size))
        return {
            name: StoredTensor(
                dtype=entry["dtype"],
                shape=tuple(map(int, entry["shape"])),
                file=file,
                start=8 + size + int(entry["data_offsets"][0]),
                end=8 + size + int(entry["data_offsets"][1]),
            )
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None  # whoever loads the model says so, and better


def _parent_of_experts(name: str) -> str:
    """Return the name of the module whose experts a tensor belongs to; nothing for a tensor of no expert."""
    before, between, _ = name.partition(".experts.")
    return before if between else ""


def _is_head(name: str) -> bool:
    return name.removesuffix(".weight").rpartition(".")[2] in _HEADS


def _is_embedding(name: str) -> bool:
    return any("embed" in part or part in ("wte", "wpe") for part in name.lower().split("."))
