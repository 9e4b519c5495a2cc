"""Settings of batching."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from tunelab.settings import marks


class BatchingConfig(BaseModel):
    """How rendered sequences meet in optimizer steps."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    varied_seqlen: bool = True
    """true: a batch counts examples, each of its own length. false: a batch counts rows filled with whole sequences up
    to max_length."""
    order: Literal["grouped", "shuffled"] = "grouped"
    """grouped keeps the sequences of one session or conversation in one step, so that they share tokens; shuffled
    takes each alone."""
    share_prefixes: bool = True
    """Run each token that the sequences of a step share once; gradients are the same either path."""
    micro_batch_tokens: PositiveInt = Field(16_384, json_schema_extra=marks(scale="log", unit="tokens"))
    """Most distinct tokens in a micro-batch; fewer if the estimate for half of the device's memory allows no more. A
    larger step is cut into micro-batches where the fewest tokens run again. It changes memory, never the gradients."""
