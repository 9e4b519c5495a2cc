"""Settings of the checks."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ChecksConfig(BaseModel):
    """Which findings stop a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_rows: int = Field(10, ge=1, description="Fewer training conversations than this is a blocking finding.")
    max_overlap: float = Field(
        0.0, ge=0, le=1, description=("Share of held-out prompts that may stand in the training rows.")
    )
    max_cut: float = Field(
        0.05, ge=0, le=1, description=("Share of trained sequences that may lose tokens to max_length.")
    )
    fail_on: Literal["error", "warning"] = Field("error", description="Lowest severity that stops a run.")
    ignore: dict[str, str] = Field(
        default_factory=dict, description=("Finding code -> the reason why it does not stop this run.")
    )
