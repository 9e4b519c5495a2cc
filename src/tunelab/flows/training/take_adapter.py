"""A run that trains nothing: the adapter in a folder becomes that of the run, to be compared with its base."""

import shutil
from dataclasses import replace
from pathlib import Path

from tunelab.adapters.peft_folder import CONFIG_FILE, WEIGHTS_FILE
from tunelab.errors import AdapterError
from tunelab.events import EventLog, Notice, RunFinished
from tunelab.files import new_folder, sha256_file
from tunelab.flows.evaluating.suite import suite_of
from tunelab.flows.evaluating.task_rows import read_suite_rows
from tunelab.flows.subject import Subject, find_parts, refuse_another_kind
from tunelab.models.base_hashes import hash_base
from tunelab.models.locate_model import locate_model
from tunelab.recipes import Recipe, written_hash
from tunelab.registry import Manifest
from tunelab.workspace import Run

_KEPT = (".json", ".jinja")
"""Endings of the files that an adapter's folder is read by, next to its weights; no pickle is among them."""


def take_adapter(run: Run, recipe: Recipe, source: Path, events: EventLog) -> Manifest:
    """Copy the adapter in `source`, byte by byte, into a run, and return the manifest, which is still to be written.

    Everything that would keep the comparison from being made is refused before.

    Args:
        run: whose folder holds its recipe.
        recipe: the same, names absolute.
        source: a PEFT folder, or the folder of a run.
        events: where it is said.

    Raises:
        AdapterError: there is none, it is of another kind than the recipe's, or does not fit the base model.
        DataError, ModelError, RunError: as `open_run` and `read_suite_rows`.
    """
    folder = _adapter_in(source)
    refuse_another_kind(folder, recipe)
    trained_by = Run(path=folder.parent)
    manifest = trained_by.read_manifest() if trained_by.adapter == folder and trained_by.is_finished else None
    parts = find_parts(recipe, base=run.path, adapter=folder, manifest=manifest)
    subject = parts.open()
    read_suite_rows(suite_of(recipe.evaluation, seed=recipe.training.seed), parts, events)
    text = f"nothing is trained: the adapter in {folder} is compared with its base"
    events.emit(Notice(code="adapter_taken", text=text))
    kept = _weights_in(folder)
    with new_folder(run.adapter) as aside:
        for file in sorted(folder.iterdir()):
            if file == kept or (file.suffix in _KEPT and file.is_file()):
                shutil.copyfile(file, aside / file.name)
    weights = run.adapter / kept.name
    step = manifest.adapter_step if manifest else 0
    events.emit(
        RunFinished(
            step=0,
            adapter_step=step,
            best_eval_loss=None,
            reason="adapter_taken",
            adapter_sha256=sha256_file(weights),
            adapter_bytes=weights.stat().st_size,
        )
    )
    return _manifest_of(run, recipe, subject, manifest)


def _adapter_in(source: Path) -> Path:
    folder = source if (source / CONFIG_FILE).is_file() else Run(path=source).adapter
    if not _weights_in(folder).is_file():
        expected = "a folder with adapter_config.json and adapter_model.safetensors, or that of a run"
        raise AdapterError("there is no adapter here", where=str(source), expected=expected)
    return folder


def _weights_in(folder: Path) -> Path:
    """Return the adapter's weights; those of a whole model only if there are no others."""
    own = folder / WEIGHTS_FILE
    return own if own.is_file() else folder / "model.safetensors"


def _manifest_of(run: Run, recipe: Recipe, subject: Subject, manifest: Manifest | None) -> Manifest:
    """Return what is known of the adapter: what its own manifest says of its training stays."""
    renderer = subject.renderer
    made = manifest or Manifest(
        base_model=recipe.model.base_model,
        template_sha256=renderer.template_hash,
        rendered_on=renderer.made_from.today,
    )
    base_files = hash_base(locate_model(recipe.model, base=run.path))
    return replace(made, base_files=base_files, recipe_sha256=written_hash(run.recipe_text))
