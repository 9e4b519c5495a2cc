"""What a GGUF says of itself before it is unpacked, and the files that are refused for it. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunelab.errors import ModelError, listed
from tunelab.models.require_files import is_pointer

_ARRAYS = ("tokenizer.ggml.tokens",)
"""Arrays of which the length is kept; the others are left out."""
_FETCH = "Fetch the file again."
_FOLDER = "Take the folder that it was made from, with config.json and safetensors."


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufContents:
    """The metadata of a GGUF and the tensors in it."""

    file: Path
    values: Mapping[str, Any]
    """Key -> text or number; of arrays the number of their items."""
    tensors: Mapping[str, int]
    """Name -> number of weights."""
    types: frozenset[str]
    """How tensors are stored, such as ``Q4_1``."""

    @property
    def architecture(self) -> str:
        """Such as ``llama``."""
        return str(self.values.get("general.architecture", ""))

    def of_model(self, key: str) -> Any:
        """Return what is stated for the architecture under `key`, such as ``attention.head_count``; None if nothing."""
        return self.values.get(f"{self.architecture}.{key}")


def only_gguf(folder: Path) -> Path | None:
    """Return the GGUF in a folder that is no model of transformers; None if it holds none.

    Raises:
        ModelError: it holds several.
    """
    files = sorted(folder.glob("*.gguf"))
    if not files or (any(folder.glob("*.safetensors")) and (folder / "config.json").is_file()):
        return None
    if len(files) > 1:
        names = [file.name for file in files]
        raise ModelError(
            f"this folder holds {len(files)} GGUF files ({listed(names)})",
            where=str(folder),
            expected="one of them",
            remedy=f"Name it: model.base_model: {files[0]}",
        )
    return files[0]


def read_contents(file: Path) -> GgufContents:
    """Return what `file` says of itself.

    Raises:
        ModelError: it is no GGUF, cut, a part of a split one, or holds no text model with its tokenizer.
    """
    _refuse_other_formats(file)
    import gguf

    try:
        reader = gguf.GGUFReader(file)
    except (ValueError, IndexError, KeyError, OSError, OverflowError, MemoryError, UnicodeDecodeError) as error:
        size = file.stat().st_size
        what = f"this GGUF is cut or damaged ({size:,} bytes; {_first_line(error)})"
        raise ModelError(what, where=str(file), remedy=_FETCH) from error
    contents = GgufContents(
        file=file,
        values={key: _value(key, field) for key, field in reader.fields.items()},
        tensors={tensor.name: int(tensor.n_elements) for tensor in reader.tensors},
        types=frozenset(tensor.tensor_type.name for tensor in reader.tensors),
    )
    _refuse_incomplete(contents)
    return contents


def _refuse_other_formats(file: Path) -> None:
    if is_pointer(file):
        remedy = "Fetch what it points to: git lfs pull, in its folder."
        raise ModelError("this is a Git LFS pointer of a few bytes, not the GGUF", where=str(file), remedy=remedy)
    try:
        with file.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise ModelError(f"it cannot be read ({error.strerror or error})", where=str(file)) from error
    if magic != b"GGUF":
        raise ModelError("this is no GGUF file: it does not begin with GGUF", where=str(file), remedy=_FETCH)


def _refuse_incomplete(contents: GgufContents) -> None:
    values, where = contents.values, str(contents.file)
    if (parts := int(values.get("split.count") or 0)) > 1:
        raise ModelError(
            f"this is part {int(values.get('split.no') or 0) + 1} of {parts} of a GGUF",
            where=where,
            expected="a whole one",
            remedy="Join the parts with llama.cpp: llama-gguf-split --merge FIRST_PART WHOLE.gguf",
        )
    if contents.architecture == "clip" or values.get("general.type") == "mmproj":
        raise ModelError("this GGUF is the part that sees pictures, not the text model", where=where)
    if not contents.tensors or values.get("general.type") == "adapter":
        raise ModelError("this GGUF holds no whole model", where=where, remedy=_FOLDER)
    if not values.get("tokenizer.ggml.tokens"):
        raise ModelError("this GGUF brings no tokenizer along", where=where, remedy=_FOLDER)


def _value(key: str, field: Any) -> Any:
    if field.types and field.types[0].name == "ARRAY":
        return len(field.data) if key in _ARRAYS else None
    return field.contents()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
