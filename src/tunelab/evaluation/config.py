"""Settings of the comparison of base and tuned model."""

from pydantic import BaseModel, ConfigDict, Field


class EvaluationConfig(BaseModel):
    """What is measured after training, and on how many rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    compare: bool = Field(
        False, description="Compare base and tuned model when training ends, as `tunelab compare` does."
    )
    compare_file: str | None = Field(
        None, description="Rows to compare on, e.g. {query, response} lines; null takes the held-out rows."
    )
    num_examples: int = Field(100, ge=1, description="At most this many rows are answered.")
    max_new_tokens: int = Field(128, ge=1, description="Longest answer, in tokens.")
    temperature: float = Field(0.0, ge=0, le=2, description="0 answers greedily; above, answers are sampled by seed.")
