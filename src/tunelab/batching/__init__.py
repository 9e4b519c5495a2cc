"""Room of the forest: shared prefixes found, batches and their order owned."""

from tunelab.batching.config import BatchingConfig
from tunelab.batching.forest import Forest, count_distinct, plant
from tunelab.batching.schedule import Batch, Schedule, Step, evaluation_batches

__all__ = ["Batch", "BatchingConfig", "Forest", "Schedule", "Step", "count_distinct", "evaluation_batches", "plant"]
