"""What a gate asks for: a line of `evaluation.gates`, or of a file of them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

BIAS_GAP = "bias_gap"


class GateConfig(BaseModel):
    """One threshold of one figure."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    figure: str
    """Its name, e.g. `exact_match`, `macro_f1` or `ece`."""
    task: str | None = None
    """The task of the suite that it is of; null takes the first that has it."""
    slice: dict[str, str] = Field(default_factory=dict)
    """Only rows with these values of these fields."""
    by: str | None = None
    """Of `bias_gap`: the field whose groups are compared."""
    concurrency: int = Field(1, ge=1)
    """Of `latency_p95_ms` and its like: how many requests come at a time."""
    min: float | None = Field(None, allow_inf_nan=False)
    """The least value that passes."""
    max: float | None = Field(None, allow_inf_nan=False)
    """The greatest value that passes."""
    against: str | None = None
    """Compare with another model instead: `base`, or a run that was compared on the same rows."""
    margin: float = Field(0.0, ge=0, allow_inf_nan=False)
    """By how much it may be worse than the other model."""
    confident: bool | None = None
    """Judge the end of the interval instead of the figure itself; null takes the command's `--require`."""

    @model_validator(mode="after")
    def _one_question(self) -> GateConfig:
        if self.against is None and self.min is None and self.max is None:
            raise ValueError("says no threshold: name min, max, or against")
        if self.against is not None and (self.min is not None or self.max is not None):
            raise ValueError("compares against another model and names min or max: take one of the two")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"has a min of {self.min:g} above its max of {self.max:g}: nothing passes")
        if self.figure == BIAS_GAP and self.by is None:
            raise ValueError("names no field whose groups are compared: by")
        if self.by is not None and self.figure != BIAS_GAP:
            raise ValueError(f"compares groups, which only {BIAS_GAP} does")
        if self.margin and self.against is None:
            raise ValueError("has a margin and no other model: name one with against")
        return self

    def describe(self) -> str:
        """Return the gate in words, e.g. ``exact_match at least 0.95``."""
        of = f" of {self.task}" if self.task else ""
        of += f" by {self.by}" if self.by else ""
        of += f" where {', '.join(f'{name} is {value}' for name, value in self.slice.items())}" if self.slice else ""
        if self.against is not None:
            within = f" by more than {self.margin:g}" if self.margin else ""
            return f"{self.figure}{of} not worse than {self.against}{within}"
        ends = [f"at least {self.min:g}"] if self.min is not None else []
        ends += [f"at most {self.max:g}"] if self.max is not None else []
        return f"{self.figure}{of} {' and '.join(ends)}"
