"""Settings of batching."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class BatchingConfig(BaseModel):
    """How rendered sequences meet in optimizer steps."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    varied_seqlen: bool = Field(
        True,
        description=(
            "true: a batch counts examples, each of its own length. false: a batch counts rows filled with "
            "whole sequences up to max_length."
        ),
    )
    order: Literal["grouped", "shuffled"] = Field(
        "grouped",
        description=(
            "grouped keeps the sequences of one session or conversation in one step, where they share "
            "tokens; shuffled draws each alone."
        ),
    )
    share_prefixes: bool = Field(
        True,
        description="Run each token that sequences of a micro-batch share once; gradients are the same either way.",
    )
