"""Settings of a suite: a file of its own, or what is found from the rows of a run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tunelab.evaluation.judging.config import JudgeConfig
from tunelab.evaluation.sampling_config import SamplingConfig
from tunelab.evaluation.variants.config import BiasConfig, RobustnessConfig

Part = Literal["generation", "labels", "json", "tools", "loss", "general", "robustness", "bias", "latency"]
"""What can be measured; the first five are kinds of figures, which a task has by its references."""

_SETTINGS = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TaskConfig(BaseModel):
    """One set of rows, and what their answers are."""

    model_config = _SETTINGS

    name: str = Field("rows", pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,60}$")
    """What figures of it are called."""
    rows: str | None = None
    """A file of rows; null takes the held-out rows of the run."""
    kind: Literal["found", "generation", "labels", "json", "tools"] = "found"
    """What references are: texts, one of some labels, JSON, tool calls; found from the references."""
    labels: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """All labels that may be answered; those of the references and the training rows if none are named."""
    json_schema: str | None = None
    """A file with the JSON schema that answers are to keep."""


class GeneralConfig(BaseModel):
    """What training costs on text that has nothing to do with the task."""

    model_config = _SETTINGS

    prompts: bool = True
    """Take the sixty prompts that come with tunelab, which the base model answers."""
    files: tuple[str, ...] = ()
    """Text files of your own; the loss of each is measured."""


class LatencyConfig(BaseModel):
    """How fast answers come."""

    model_config = _SETTINGS

    requests: int = Field(60, ge=1)
    """So many requests are measured; a 95th percentile needs at least 72, a 99th more."""
    concurrency: tuple[Annotated[int, Field(ge=1)], ...] = (1, 8)
    """How many requests come at a time, one measurement for each number."""


class SuiteConfig(SamplingConfig):
    """Which rows are asked, and what is measured of the answers."""

    model_config = _SETTINGS

    tasks: tuple[TaskConfig, ...] = Field((TaskConfig(),), min_length=1)
    """Sets of rows."""
    num_rows: int = Field(100, ge=1)
    """At most this many rows of each task are asked."""
    seed: int = 42
    """Of sampled answers, resampled rows and changed prompts."""
    slices: tuple[str, ...] = ()
    """Fields of the rows by which figures are split, next to label, language, prompt length, turn and tool."""
    noise_rows: int = Field(20, ge=0)
    """So many rows are answered again in another order, to see what changes by itself."""
    general: GeneralConfig = GeneralConfig()
    """Forgetting."""
    robustness: RobustnessConfig | None = None
    """Rows that are asked again with perturbed prompts; null asks none."""
    latency: LatencyConfig | None = None
    """Times of answers, base and tuned model in turn; null measures none."""
    bias: BiasConfig | None = None
    """Rows that are asked again with names and words exchanged, and groups that are compared; null does neither."""
    judge: JudgeConfig | None = None
    """A model that says which answers are better; null asks none."""

    @model_validator(mode="after")
    def _names_differ(self) -> SuiteConfig:
        names = [task.name for task in self.tasks]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f'names two tasks "{twice}"')
        return self
