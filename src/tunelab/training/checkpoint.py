"""Everything a run needs to go on, in one folder that is whole or absent.

`checkpoints/step-00000064/` holds `state.safetensors` (adapter, optimizer moments, the best adapter so far) and
`state.json`, which is written last. Randomness needs no state: each step seeds itself.
"""

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from tunelab.errors import RunError
from tunelab.files import new_folder, remove_leftovers, sha256_file, write_file, write_json

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """How far a run is, and what it decided so far."""

    step: int = 0
    """Optimizer steps done."""
    best_loss: float | None = None
    best_step: int = 0
    evaluations_without_gain: int = 0
    stopped_early: bool = False
    loss_scale: float | None = None
    """Of fp16 training; None elsewhere."""
    growth_tracker: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A resumable state."""

    progress: TrainingProgress
    fingerprint: str
    """Hash of recipe, data, template and base: a checkpoint continues only the run it came from."""
    environment: Mapping[str, str]
    """Versions and threads it was computed with: equal bytes are promised only under equal ones."""
    tensors: Weights
    """`adapter.*`, AdamW's `step.*`, `exp_avg.*`, `exp_avg_sq.*`, and `best.*`; all on the CPU."""

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the tensors of one group under their parameters' names."""
        return {
            name.removeprefix(f"{prefix}."): each
            for name, each in self.tensors.items()
            if name.startswith(f"{prefix}.")
        }


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, *, keep: int, before: Callable[[], None] = lambda: None
) -> Path:
    """Write a checkpoint below `folder`, then delete all but the newest `keep` up to it; return its folder.

    `before` is called right before it is in place; what it raises leaves things as they were.
    """
    path = folder / f"step-{checkpoint.progress.step:08d}"
    with new_folder(path, before=before) as aside:
        tensors = {name: checkpoint.tensors[name].contiguous() for name in sorted(checkpoint.tensors)}
        write_file(aside / "state.safetensors", safetensors.torch.save(tensors))
        digest = sha256_file(aside / "state.safetensors")
        state = {
            "fingerprint": checkpoint.fingerprint,
            "environment": dict(checkpoint.environment),
            "sha256": digest,
            "progress": asdict(checkpoint.progress),
        }
        write_json(aside / "state.json", state)
    # A later folder can only be one that was found damaged: it must not count, or the good ones would go.
    for old in [each for each in _folders(folder) if each <= path][:-keep]:
        shutil.rmtree(old)
    return path


def latest_checkpoint(
    folder: Path,
    *,
    fingerprint: str,
    older: Collection[str] = (),
    on_damaged: Callable[[Path], None] = lambda path: None,
) -> Checkpoint | None:
    """Return the newest whole checkpoint below `folder`, or None; sweep what a crash left half done.

    Args:
        fingerprint: what a checkpoint of the run has.
        older: what it may have if an older tunelab saved it.
        on_damaged: called with each newer one that is not whole.

    Raises:
        RunError: the checkpoint belongs to other data or another recipe.
    """
    if not folder.is_dir():
        return None
    remove_leftovers(folder)
    for path in reversed(_folders(folder)):
        checkpoint = _read(path)
        if checkpoint is None:
            on_damaged(path)
            continue
        if checkpoint.fingerprint not in (fingerprint, *older):
            remedy = "Undo the change to resume, or start a new run without --resume."
            what = "recipe, data, chat template or base model changed since this checkpoint was saved"
            raise RunError(what, where=str(path), remedy=remedy)
        return checkpoint
    return None


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def _read(path: Path) -> Checkpoint | None:
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        data = (path / "state.safetensors").read_bytes()
        if sha256_file(path / "state.safetensors") != state["sha256"]:
            return None
        progress = replace(TrainingProgress(), **state["progress"])
        return Checkpoint(
            progress=progress,
            fingerprint=state["fingerprint"],
            environment=state["environment"],
            tensors=safetensors.torch.load(data),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None
