"""Settings of a data set: everything between the files that are named and the sequences that are trained."""

from pydantic import Field

from tunelab.cleaning.config import CleaningConfig
from tunelab.conversations.config import ConversationConfig
from tunelab.rendering.config import RenderingConfig
from tunelab.sources.config import SourceConfig


class DataConfig(RenderingConfig, ConversationConfig, SourceConfig):  # pydantic lists the last base's fields first
    """Which rows are read, how they are cleaned, how they become conversations, and how those become tokens."""

    cleaning: CleaningConfig = Field(default_factory=CleaningConfig)
    """What is changed in rows, and which rows go, before anything else."""

    @property
    def silences_system(self) -> bool:
        """True if `system_prompt` is empty."""
        return self.system_prompt == ""
