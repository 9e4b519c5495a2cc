"""What a run of cleaning is to do."""

from collections.abc import Sequence
from dataclasses import dataclass

from tunelab.cleaning.config import CleaningConfig

RULE_NAMES = (
    "unreadable",
    "no_conversation",
    *(name for name in CleaningConfig.model_fields if name not in ("text_fields", "tokenizer", "prompt_fields")),
)
"""What is counted under which name, in the order in which rows meet it; `rules` says where each acts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done besides the rules."""

    config: CleaningConfig
    names: Sequence[str]
    """The files, as messages show them."""
    test_size: float = 0.0
    """Share of the kept rows that is split off; 0 splits nothing."""
    excluded_texts: Sequence[str] = ()
    """Texts of test rows, if rows like them are dropped."""
    compared: str = ""
    """With what test rows the rows are compared, in words; empty if there are none."""
    label_field: str = ""
    """The column that holds the class, of a table."""
    label_setting: str = "answer"
    """What tells the class of a row: a setting, or the answer itself."""
    names_to_find: tuple[tuple[str, str], ...] = ()
    """Settings, and the fields or roles that they name, of which some row must have a text."""
    format: str = ""
    notes: tuple[str, ...] = ()

    @property
    def needs_all_rows(self) -> bool:
        """Whether a rule needs all rows before one can be written."""
        config = self.config
        draws = config.max_samples is not None or config.max_per_class is not None
        return draws or self.test_size > 0 or self.compares_all

    @property
    def compares_all(self) -> bool:
        """Whether a rule compares all rows with each other."""
        config = self.config
        return config.conflicts == "drop" or config.near_duplicates is not None or config.near_overlap is not None

    @property
    def most(self) -> int | None:
        """How many rows are sampled by nothing but their priority; None if more than that decides."""
        config = self.config
        plain = not self.compares_all and config.max_per_class is None and not config.stratified
        return config.max_samples if plain else None
