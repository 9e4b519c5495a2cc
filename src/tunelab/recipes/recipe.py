"""A recipe: one frozen tree of the rooms' settings, and its text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from tunelab.adapters.config import AdapterConfig
from tunelab.adapters.kinds import KINDS
from tunelab.batching.config import BatchingConfig
from tunelab.checks.config import ChecksConfig
from tunelab.dataset.config import DataConfig
from tunelab.evaluation.config import EvaluationConfig
from tunelab.models.config import ModelConfig
from tunelab.training.config import TrainingConfig

ADAPTERS = {kind.section: kind.config for kind in KINDS}
"""Section name -> the class of its settings; a recipe has one of them."""


class _BaseAndData(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelConfig = Field(default_factory=ModelConfig, description="The base model.")
    data: DataConfig = Field(default_factory=DataConfig, description="The rows, and how they are read.")


if TYPE_CHECKING:
    _WithAdapters = _BaseAndData
else:
    _ADAPTER_FIELDS = {kind.section: (kind.config | None, Field(None, description=kind.summary)) for kind in KINDS}
    _WithAdapters = create_model("_WithAdapters", __base__=_BaseAndData, **_ADAPTER_FIELDS)


class Recipe(_WithAdapters):
    """Everything that decides what comes out of a run, except the data themselves."""

    batching: BatchingConfig = Field(default_factory=BatchingConfig, description="How sequences meet in steps.")
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="How the adapter is trained.")
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig, description="What is measured afterwards.")
    checks: ChecksConfig = Field(default_factory=ChecksConfig, description="Which findings stop a run.")

    @model_validator(mode="before")
    @classmethod
    def _lora_where_no_method_is_named(cls, tree: Any) -> Any:
        if isinstance(tree, Mapping) and all(tree.get(name) is None for name in ADAPTERS):
            return {**tree, "lora": {}}
        return tree

    @model_validator(mode="after")
    def _one_method(self) -> Recipe:
        if sum(getattr(self, name) is not None for name in ADAPTERS) > 1:
            raise ValueError(f"a recipe trains one adapter: {', '.join(ADAPTERS)}")
        return self

    @property
    def adapter(self) -> AdapterConfig:
        """The settings of the adapter that is trained."""
        sections: Iterator[AdapterConfig | None] = (getattr(self, name) for name in ADAPTERS)
        return next(config for config in sections if config is not None)


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Recipe.model_fields.items():
        config = ADAPTERS.get(name) or cast(type[BaseModel], field.annotation)
        yield name, config
        for key, inner in config.model_fields.items():
            if isinstance(inner.annotation, type) and issubclass(inner.annotation, BaseModel):
                yield f"{name}.{key}", inner.annotation


SECTIONS: dict[str, type[BaseModel]] = dict(_sections())
"""Section name -> the class of its settings, in the order of a recipe; a section in a section is `data.cleaning`."""

FIELDS = {
    f"{name}.{key}": field
    for name, config in SECTIONS.items()
    for key, field in config.model_fields.items()
    if f"{name}.{key}" not in SECTIONS
}
"""Dotted key -> the declaration of every setting there is."""


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return dotted key -> value for every setting of `recipe`, in a fixed order; plain values only."""
    dumped = recipe.model_dump(mode="json", exclude_none=False)
    sections = {name: reduce(dict.__getitem__, name.split("."), dumped) for name in SECTIONS}
    return {
        f"{name}.{key}": sections[name][key]
        for name, config in SECTIONS.items()
        if sections[name] is not None
        for key in config.model_fields
        if f"{name}.{key}" not in SECTIONS
    }


def changed(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return `recipe` with other values of some settings, by dotted key."""
    return Recipe.model_validate(tree_of(settings_of(recipe) | dict(settings)))


def tree_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by dotted key as sections in sections."""
    tree: dict[str, Any] = {}
    for dotted, value in settings.items():
        section, _, key = (dotted, "", "") if dotted in SECTIONS else dotted.rpartition(".")
        branch = tree
        for name in section.split("."):
            branch = branch.setdefault(name, {})
        if key:
            branch[key] = value
    return tree


def to_yaml(recipe: Recipe) -> str:
    """Return the canonical text of `recipe`: every setting, in a fixed order; it reads back as an equal recipe."""
    lines = []
    section = ""
    for dotted, value in settings_of(recipe).items():
        name, _, key = dotted.rpartition(".")
        indent = "  " * name.count(".")
        if name != section:
            section = name
            lines.append(f"{indent}{section.rpartition('.')[2]}:")
        lines.append(f"{indent}  {key}: {written(value)}")
    return "\n".join(lines) + "\n"


def written(value: Any) -> str:
    """Return `value` as JSON, which is YAML too; what it looks like does not change with a YAML library."""
    text = json.dumps(value, ensure_ascii=False)
    # YAML reads some characters that JSON leaves alone (U+0085, U+2028) as line ends
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in text)
