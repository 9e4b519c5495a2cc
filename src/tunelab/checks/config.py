"""Settings of the checks."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tunelab.errors import guess
from tunelab.settings import marks

FailOn = Literal["error", "warning", "note", "never"]


class ChecksConfig(BaseModel):
    """Which findings stop a run."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    min_rows: int = Field(10, ge=1, json_schema_extra=marks(unit="conversations"))
    """Fewer training conversations than this is a blocking finding."""
    max_overlap: float = Field(0.0, ge=0, le=1)
    """Share of held-out prompts that may also be in the training rows."""
    max_cut: float = Field(0.05, ge=0, le=1)
    """Share of trained sequences that may lose tokens to max_length."""
    min_steps: int = Field(10, ge=1, json_schema_extra=marks(unit="steps"))
    """A run of fewer optimizer steps is a finding."""
    max_epochs: float = Field(20, gt=0, json_schema_extra=marks(unit="epochs"))
    """A run that passes over its rows more often is a finding."""
    max_odd: float = Field(0.1, ge=0, le=1)
    """Share of rows or answers from which odd ones (near-duplicates, refusals, copies, remains of HTML) are a warning
    and no longer a note."""
    near_threshold: float = Field(0.8, ge=0.5, le=1)
    """How alike two rows have to be to count as near-duplicates: Jaccard similarity."""
    max_repetition: float = Field(0.5, ge=0, le=1)
    """Share of an answer's runs of four words that may repeat earlier ones."""
    min_answer_chars: int = Field(10, ge=0, json_schema_extra=marks(unit="characters"))
    """Shorter answers are a finding where half of all are at least ten times as long."""
    language_sample: int = Field(300, ge=0, json_schema_extra=marks(unit="answers"))
    """Number of answers, evenly spread, whose language is detected; 0 detects none."""
    max_imbalance: float = Field(10, ge=1)
    """How many times as many training rows the commonest label may have as the rarest."""
    min_label_rows: int = Field(5, ge=1, json_schema_extra=marks(unit="rows"))
    """Training rows below which a label counts as rare."""
    fail_on: FailOn = "error"
    """Lowest severity that stops a run; never lets all of them pass."""
    ignore: dict[str, str] = Field(default_factory=dict)
    """Finding code -> the reason why it does not stop this run."""

    @field_validator("ignore")
    @classmethod
    def _known_codes_and_reasons(cls, ignore: dict[str, str]) -> dict[str, str]:
        if not ignore:
            return ignore
        from tunelab.checks.rules import CODES  # the rules bring numpy, and most recipes ignore nothing
        from tunelab.checks.rules.refusals import refused_by_train

        for code, reason in ignore.items():
            if code not in CODES:
                near = guess(code, CODES) or "tunelab check prints the code of each finding."
                raise ValueError(f'names "{code}", which is the code of no finding. {near}')
            if code in refused_by_train.codes:
                raise ValueError(f"names {code}, which cannot be ignored: train refuses such a run")
            if not reason.strip():
                raise ValueError(f"gives no reason for {code}: say in a few words why it is ignored")
        return ignore
