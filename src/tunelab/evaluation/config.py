"""Settings of the comparison of base and tuned model."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tunelab.generation.completion import Sampling
from tunelab.settings import marks


class EvaluationConfig(BaseModel):
    """What is measured after training, on how many rows, and how answers are drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    compare: bool = Field(False, json_schema_extra=marks(everyday=True))
    """Compare base and tuned model when training ends, as `tunelab compare` does."""
    compare_file: str | None = None
    """Rows to compare on, e.g. {query, response} lines; null takes the held-out rows."""
    adapter_path: str | None = None
    """Compare the adapter in this folder (of PEFT, or of a run) and train nothing; null trains one."""
    num_examples: int = Field(100, ge=1, json_schema_extra=marks(unit="rows", flag="--num-examples N"))
    """At most this many rows are answered."""
    max_new_tokens: int = Field(
        128, ge=1, json_schema_extra=marks(scale="log", unit="tokens", flag="--max-new-tokens N")
    )
    """Longest answer, in tokens."""
    temperature: float = Field(0.0, ge=0, le=2, json_schema_extra=marks(flag="--temperature NUMBER"))
    """0 answers greedily; above, answers are sampled by seed."""
    top_p: float = Field(1.0, ge=0, le=1, json_schema_extra=marks(flag="--top-p NUMBER"))
    """Sample from the fewest tokens whose probabilities reach this sum; 1 leaves all."""
    top_k: int = Field(0, ge=0, json_schema_extra=marks(flag="--top-k N"))
    """Sample from this many of the most likely tokens; 0 leaves all."""
    min_p: float = Field(0.0, ge=0, le=1, json_schema_extra=marks(flag="--min-p NUMBER"))
    """Sample from tokens at least this share as likely as the likeliest; 0 leaves all."""
    repetition_penalty: float = Field(1.0, gt=0, json_schema_extra=marks(flag="--repetition-penalty NUMBER"))
    """Above 1, tokens of the prompt and of the answer so far become less likely."""
    stop_strings: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), json_schema_extra=marks(flag="--stop TEXT")
    )
    """An answer ends before the first of these texts."""

    @property
    def compares(self) -> bool:
        """Whether a comparison is made when training ends, or in its place."""
        return self.compare or self.adapter_path is not None

    def remarks(self) -> Iterator[str]:
        """Yield what is to be said of settings that have no effect."""
        for name in ("top_p", "top_k", "min_p"):
            if self.temperature == 0 and getattr(self, name) != type(self).model_fields[name].default:
                yield f"evaluation.{name} has no effect: evaluation.temperature is 0, which answers greedily."

    def changed(self, **settings: object) -> "EvaluationConfig":
        """Return these settings with some changed; None changes nothing.

        Raises:
            ValidationError: a name or a value that is impossible.
        """
        given = {name: value for name, value in settings.items() if value is not None}
        return EvaluationConfig.model_validate(self.model_dump() | given)

    def sampling(self, *, seed: int) -> Sampling:
        """Return how answers are drawn."""
        own = {each.name: getattr(self, each.name) for each in fields(Sampling) if each.name != "seed"}
        return Sampling(**own, seed=seed)
