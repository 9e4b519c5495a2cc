"""Settings of the comparison of base and tuned model."""

from pydantic import ConfigDict, Field

from tunelab.evaluation.sampling_config import SamplingConfig
from tunelab.settings import marks


class EvaluationConfig(SamplingConfig):
    """What is measured after training, on how many rows, and how answers are sampled."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    compare: bool = Field(False, json_schema_extra=marks(everyday=True))
    """Compare base and tuned model when training ends, as `tunelab compare` does."""
    compare_file: str | None = None
    """Rows to compare on, e.g. {query, response} lines; null takes the held-out rows."""
    suite: str | None = None
    """A file of tasks, slices and trials to evaluate by; null finds them from the rows."""
    adapter_path: str | None = None
    """Compare the adapter in this folder (of PEFT, or of a run) and train nothing; null trains one."""
    num_examples: int = Field(100, ge=1, json_schema_extra=marks(unit="rows", flag="--num-examples N"))
    """At most this many rows are answered."""

    @property
    def compares(self) -> bool:
        """Whether a comparison is made when training ends, or in its place."""
        return self.compare or self.adapter_path is not None

    def changed(self, **settings: object) -> "EvaluationConfig":
        """Return these settings with some changed; None changes nothing.

        Raises:
            ValidationError: a name or a value that is impossible.
        """
        given = {name: value for name, value in settings.items() if value is not None}
        return EvaluationConfig.model_validate(self.model_dump() | given)
