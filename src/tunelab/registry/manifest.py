"""The manifest of a finished run: the hashes of what it was made of, and what whoever serves its adapter must know.

msgspec is imported where it is used: it takes as long, and as much memory, as all else that a list of jobs imports.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from tunelab.errors import RunError
from tunelab.files import canonical_json, sha256_text, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A run on record. Hashes are SHA-256 in hexadecimal; empty in manifests written before they were recorded."""

    run_id: str = ""
    base_model: str
    """As the recipe names it."""
    base_files: dict[str, str] = field(default_factory=dict)
    """Hash of config.json and of each file of weights of the base model, by name."""
    recipe_sha256: str = ""
    """Of the run's recipe.yaml without the settings that say where things are."""
    data_sha256: str = ""
    """Of the token ids of all training and held-out sequences."""
    template_sha256: str
    """Of the rendering: chat template, tokenizer, stop tokens. Answering with another one is refused."""
    rendered_on: date
    """The day that was passed to templates which write a date."""
    system_prompt: str | None = None
    """The system prompt of its training conversations, if all have the same."""
    tools: tuple[dict[str, Any], ...] = ()
    """The tool catalogue of its training conversations, if all have the same."""
    steps: int = 0
    adapter_step: int = 0
    """The optimizer step whose weights were kept."""
    held_out_loss: float | None = None
    files: dict[str, str] = field(default_factory=dict)
    """Hash of each file of the adapter, by its path within the adapter's folder."""

    @property
    def fingerprint(self) -> str:
        """One hash of all that decides the bytes of a run: recipe, base model, rendering and data."""
        made_of = [self.recipe_sha256, self.base_files, self.template_sha256, self.data_sha256]
        return sha256_text(canonical_json(made_of))


def read_manifest(file: Path) -> Manifest:
    """Return the manifest in a file.

    Raises:
        RunError: it is damaged.
    """
    import msgspec

    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        remedy = "Delete it and go on with tunelab train RECIPE --resume, which writes it again."
        raise RunError(f"the manifest is damaged ({error})", where=str(file), remedy=remedy) from error


def write_manifest(file: Path, manifest: Manifest, *, before: Callable[[], None] = lambda: None) -> None:
    """Write a manifest, atomically; `before` is called right before it is in place."""
    import msgspec

    write_json(file, msgspec.to_builtins(manifest), before=before)
