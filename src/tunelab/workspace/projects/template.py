"""What the files of a project are when they are new: for each method a recipe, its form, and a job in a cloud."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import reduce
from inspect import cleandoc
from pathlib import Path
from typing import Any

from tunelab.adapters.kinds import KINDS, Kind
from tunelab.recipes.forms import form_text
from tunelab.recipes.recipe import FIELDS, SECTIONS, tree_of, written
from tunelab.settings import marks_of
from tunelab.workspace.projects.catalogue import ModelEntry

_TEMPLATES = Path(__file__).with_name("templates")
_IMAGES = {
    "lora": "mcr.microsoft.com/foundrytoolkit/lora:20260630.1",
    "soft_prompt": "mcr.microsoft.com/foundrytoolkit/soft-prompt:20260630.1",
}
"""What trains in ModelLab's cloud; a job of another method has to be given an image."""
_OUTPUTS = (
    "SUBSCRIPTION_ID",
    "RESOURCE_GROUP_NAME",
    "STORAGE_ACCOUNT_NAME",
    "FILE_SHARE_NAME",
    "ACA_JOB_NAME",
    "LOG_ANALYTICS_NAME",
)
_PARAMETERS = (
    "location",
    "storageAccountName",
    "fileShareName",
    "acaEnvironmentName",
    "acaEnvironmentStorageName",
    "acaJobName",
    "acaLogAnalyticsName",
)
_TIMEOUT_S = 21_600
_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"


def template_files(entry: ModelEntry, method: str) -> dict[str, bytes]:
    """Return path in the project -> bytes for every file of a method."""
    provision = f"{method}/infra/provision/finetuning"
    argument = f"mount/<run_id>/{method}.yaml"
    texts = {
        f"{method}/{method}.yaml": _recipe(entry, method),
        f"{method}/{method}.yaml.config": form_text(method),
        f"{method}/infra/model.json": _json(_described(entry)),
        f"{provision}.bicep": _bicep(method, argument),
        f"{provision}.config.json": _json({**dict.fromkeys(_OUTPUTS), "COMMANDS": [], "ARGS": [argument]}),
        f"{provision}.parameters.json": _json(_parameters(method)),
    }
    return {name: text.encode() for name, text in texts.items()}


def project_text(entry: ModelEntry, methods: Iterable[str]) -> str:
    """Return the text of a project's own file."""
    workflows = [workflow_of(entry, method) for method in methods]
    info = {"id": entry.id, "type": "finetuning", "version": entry.version}
    return _json({"workflows": workflows, "modelInfo": info})


def workflow_of(entry: ModelEntry, method: str) -> dict[str, Any]:
    """Return what a project's own file says of a method."""
    kind = _kind(method)
    return {
        "name": kind.title,
        "description": cleandoc(kind.config.__doc__ or "").partition("\n")[0],
        "file": f"{method}/infra/provision/finetuning.config.json",
        "template": f"finetuning_configs/{entry.id}",
        "version": entry.version,
        "templateName": method,
    }


def _recipe(entry: ModelEntry, method: str) -> str:
    """Return ModelLab's flat recipe of the methods that it has, our own of the others."""
    file = _TEMPLATES / f"{method}.yaml"
    model = entry.trained_as
    name = f"../../{model}" if model.startswith("./") else model  # the recipe lies two folders below the workspace
    if file.is_file():
        lines = [
            f"model: {written(name)}",
            *([f"model_revision: {written(entry.revision)}"] if entry.is_of_hub else []),
        ]
        return file.read_text(encoding="utf-8").replace("@MODEL@", "\n".join(lines))
    return "\n".join(_sections(_settings(entry, method, name))) + "\n"


def _settings(entry: ModelEntry, method: str, base_model: str) -> dict[str, Any]:
    """Return dotted key -> value: the everyday settings, and all of the method."""
    given = {
        "model.base_model": base_model,
        **({"model.revision": entry.revision} if entry.is_of_hub else {}),
        "data.train_files": "dataset",
        "training.learning_rate": _kind(method).learning_rate,
    }
    others = {kind.section for kind in KINDS} - {method}
    return {
        name: given.get(name, field.get_default(call_default_factory=True))
        for name, field in FIELDS.items()
        if (section := name.partition(".")[0]) == method
        or (section not in others and (name in given or marks_of(field).get("everyday")))
    }


def _sections(settings: dict[str, Any]) -> Iterator[str]:
    tree = tree_of(settings)
    for section in SECTIONS:
        if "." not in section and section in tree:
            yield f"{section}:"
            yield from (f"  {key}: {written(value)}" for key, value in tree[section].items())


def _kind(method: str) -> Kind:
    return next(kind for kind in KINDS if kind.section == method)


def _described(entry: ModelEntry) -> dict[str, str]:
    host = entry.host or entry.id.rpartition("/")[0] or "tunelab"
    return {"MODEL_NAME": entry.name, "MODEL_VERSION": entry.model_version or "", "MODEL_HOST": host}


def _bicep(method: str, argument: str) -> str:
    image = f" = '{_IMAGES[method]}'" if method in _IMAGES else ""
    filled = {"@IMAGE@": image, "@JOB@": f"aiacajob{method.replace('_', '')}", "@ARGUMENT@": argument}
    text = (_TEMPLATES / "finetuning.bicep").read_text(encoding="utf-8")
    return reduce(lambda text, token: text.replace(token, filled[token]), filled, text)


def _parameters(method: str) -> dict[str, Any]:
    values = {"timeout": _TIMEOUT_S, **dict.fromkeys(_PARAMETERS)}
    if method not in _IMAGES:
        values["image"] = None
    parameters = {name: {"value": value} for name, value in values.items()}
    return {"$schema": _SCHEMA, "contentVersion": "1.0.0.0", "parameters": parameters}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
