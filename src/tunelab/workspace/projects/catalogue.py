"""The models that a project can be made of: those of the package, and those of `models.yaml` in the workspace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tunelab.adapters.kinds import KINDS
from tunelab.errors import RecipeError, WorkspaceError, counted, did_you_mean, guess
from tunelab.recipes.yaml_document import plain
from tunelab.recipes.yaml_file import load
from tunelab.workspace.workspace import Workspace

OWN_MODELS = "models.yaml"
"""Own entries of a workspace; one of the same id as the package's replaces it."""
METHODS = tuple(kind.section for kind in KINDS)
_PACKAGED = Path(__file__).with_name("catalogue.yaml")
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_ID = re.compile(rf"(?!.*\.\.){_PART}(/{_PART})?")
_LONGEST_ID = 96
_FACTS = 3
"""How deep the facts of an entry are nested."""

Place = Literal["local", "cloud"]


class ModelEntry(BaseModel):
    """What is known of a model; a fact that is not certain is left out."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, protected_namespaces=()
    )

    id: str
    """Such as ``microsoft/Phi-4-mini-instruct``; the key of the entry."""
    name: str
    """What people call it."""
    base_model: str = Field("", validate_default=False)
    """What a recipe names: the id, if none is given. A name that begins with ./ starts from the workspace."""
    revision: str | None = None
    """Commit of the Hub that a recipe is pinned to; without one, the recipe has to be given it."""
    licence: str | None = None
    parameters: int | None = Field(None, gt=0)
    size_bytes: int | None = Field(None, gt=0)
    """Of the files of weights."""
    context: int | None = Field(None, gt=0)
    """Longest sequence, in tokens."""
    layers: dict[Literal["attention", "mlp"], list[str]] = Field(default_factory=dict)
    """Role -> last parts of the names of its layers."""
    methods: list[str] = Field(list(METHODS), min_length=1)
    """How it can be trained: sections of a recipe."""
    places: list[Place] = Field(["local"], min_length=1)
    """Where: on this machine, in a cloud."""
    host: str | None = None
    """Who offers it."""
    model_version: str | None = None
    """Of the model itself."""
    version: int = Field(1, ge=1)
    """Of the template of its projects."""

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, methods: list[str]) -> list[str]:
        for method in methods:
            if method not in METHODS:
                raise ValueError(f'holds "{method}", which is no method. {did_you_mean(method, METHODS)}')
        return methods

    @property
    def trained_as(self) -> str:
        """What a recipe calls the base model."""
        return self.base_model or self.id

    @property
    def is_of_hub(self) -> bool:
        """True if its weights are fetched from the Hub, by a pinned revision."""
        return "local" in self.places and "/" in self.trained_as and self.trained_as[0] not in "./~"


def read_catalogue(workspace: Workspace | None = None) -> dict[str, ModelEntry]:
    """Return id -> entry: the package's, then the workspace's own.

    Raises:
        WorkspaceError: an own entry has an unknown key, an impossible value, or an id that is none.
    """
    packaged = _read(_PACKAGED)
    file = workspace.path / OWN_MODELS if workspace else None
    own = _read(file) if file and file.exists() else {}
    alike = {model_id.casefold(): model_id for model_id in packaged}
    for model_id in own:
        if (other := alike.setdefault(model_id.casefold(), model_id)) != model_id:
            what = f'the ids "{model_id}" and "{other}" differ in small letters alone'
            raise WorkspaceError(what, where=str(file), expected="one of the two")
    return packaged | own


def find_model(catalogue: dict[str, ModelEntry], model_id: str) -> ModelEntry:
    """Return the entry of a model; small letters will do.

    Raises:
        WorkspaceError: there is none, or the id can be none.
    """
    named = {known.casefold(): entry for known, entry in catalogue.items()}
    if entry := named.get(model_id.casefold()):
        return entry
    _refuse_bad_id(model_id, where="")
    remedy = guess(model_id, catalogue) or f"tunelab models lists them; own ones belong into {OWN_MODELS}."
    raise WorkspaceError(f'the catalogue has no model "{model_id}"', remedy=remedy)


def _read(file: Path) -> dict[str, ModelEntry]:
    try:
        written = load(file)
    except RecipeError as error:
        raise WorkspaceError(
            error.what, where=error.where, expected="entries of models", remedy=error.remedy
        ) from error
    if written is None:
        return {}
    if not isinstance(written, dict):
        raise WorkspaceError("this is no mapping", where=str(file), expected="ids of models, each with its facts")
    return {str(key): _entry(str(key), written, key, file) for key in written}


def _entry(model_id: str, written: Any, key: Any, file: Path) -> ModelEntry:
    where = f"{file}:{written.lc.key(key)[0] + 1}"
    _refuse_bad_id(model_id, where=where)
    facts = written[key]
    if not isinstance(facts, dict):
        raise WorkspaceError(f"{model_id} has no facts", where=where, expected="at least name:, indented below it")
    try:
        values = {str(name): plain(value, _place(facts, name, file), depth=_FACTS) for name, value in facts.items()}
        if "id" in values:
            raise _unknown("id", facts, file)
        return ModelEntry.model_validate({**values, "id": model_id})
    except RecipeError as error:
        raise WorkspaceError(error.what, where=error.where, expected=error.expected) from error
    except ValidationError as error:
        raise _fault(error, facts, where, file) from error


def _fault(error: ValidationError, facts: Any, where: str, file: Path) -> WorkspaceError:
    """Return what is wrong with the first fact that is."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "missing":
        return WorkspaceError(f"{name} is missing", where=where)
    place = _place(facts, name, file)
    if first["type"] == "extra_forbidden":
        return _unknown(name, facts, file)
    if first["type"] == "value_error":
        return WorkspaceError(f"{name} {first['ctx']['error']}", where=place)
    inner = ".".join(map(str, first["loc"]))
    return WorkspaceError(f"{inner}: {first['msg'][0].lower()}{first['msg'][1:]}", where=place)


def _unknown(name: str, facts: Any, file: Path) -> WorkspaceError:
    known = [field for field in ModelEntry.model_fields if field != "id"]
    remedy = did_you_mean(name, known)
    return WorkspaceError(f'a model has no fact "{name}"', where=_place(facts, name, file), remedy=remedy)


def _place(facts: Any, name: Any, file: Path) -> str:
    return f"{file}:{facts.lc.key(name)[0] + 1}"


def _refuse_bad_id(model_id: str, *, where: str) -> None:
    if len(model_id) > _LONGEST_ID:
        what = f"the id of the model has {counted(len(model_id), 'character')}"
        raise WorkspaceError(what, where=where, expected=f"at most {_LONGEST_ID}")
    if not _ID.fullmatch(model_id):
        expected = (
            "publisher/name or name, of letters, digits, dots, dashes and underscores, and without two dots in a row"
        )
        raise WorkspaceError(f'"{model_id}" is no id of a model', where=where, expected=expected)
