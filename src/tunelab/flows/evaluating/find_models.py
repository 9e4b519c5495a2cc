"""Models by the names that commands take: a run, an adapter's folder, or `base:` and a base model."""

from __future__ import annotations

from pathlib import Path

from tunelab.adapters.peft_folder import CONFIG_FILE
from tunelab.flows.evaluating.model import Model, base_of, tuned_model
from tunelab.flows.subject import parts_of, parts_of_run
from tunelab.workspace import Workspace

BASE = "base"
_BASE_PREFIX = "base:"


def find_model(name: str, workspace: Workspace) -> Model:
    """Return a model by name, its weights not yet in memory.

    Args:
        name: of a run (or the beginning of one, its folder, or ``latest``), a PEFT folder, or ``base:`` and a base
            model's name or folder.
        workspace: where runs are found.

    Raises:
        RunError, ModelError, AdapterError: there is none, or it cannot be used.
    """
    if name.startswith(_BASE_PREFIX):
        return tuned_model(name, parts_of(name.removeprefix(_BASE_PREFIX)))
    if (Path(name).expanduser() / CONFIG_FILE).is_file():
        return tuned_model(name, parts_of(name))
    run = workspace.find_run(name)
    return tuned_model(run.id, parts_of_run(run))


def find_other(name: str, model: Model, workspace: Workspace) -> Model:
    """Return the model that another is compared with: its own base, or any other by name.

    Raises:
        RunError, ModelError, AdapterError: as `find_model`.
    """
    return base_of(model) if name == BASE else find_model(name, workspace)
