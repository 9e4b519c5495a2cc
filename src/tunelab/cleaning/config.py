"""Settings of cleaning. What is not set changes nothing and drops nothing."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from tunelab.settings import marks
from tunelab.texts.language import LANGUAGES

BASE_MODEL = "base_model"
"""As the tokenizer: that of the recipe's own base model."""
Characters = Annotated[int, Field(ge=0)]
Treatment = Literal["keep", "report", "redact", "drop"]
Same = Literal["row", "prompt"]


class CleaningConfig(BaseModel):
    """What is changed in rows and which rows go, in the order in which it is done."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    text_fields: tuple[str, ...] = Field((), json_schema_extra=marks(flag="--text-field FIELD"))
    """Fields that rules on text, and rows that are compared, look at; without any, all of them."""
    strip_html: bool = Field(False, json_schema_extra=marks(flag="--strip-html"))
    """Take HTML tags, comments and entities out of text."""
    remove_control_characters: bool = Field(False, json_schema_extra=marks(flag="--remove-control-characters"))
    """Take control characters out of text; tabs and line breaks stay."""
    unicode_normalization: Literal["NFC", "NFKC"] | None = Field(
        None, json_schema_extra=marks(flag="--unicode NFC|NFKC")
    )
    """Unicode form that all text is brought into; without one, it stays as it is."""
    personal_data: Treatment = Field("keep", json_schema_extra=marks(flag="--personal-data report|redact|drop"))
    """What e-mail addresses, phone and card numbers and the like in a row do: nothing (keep), be reported, be redacted,
    or drop the row."""
    secrets: Treatment = Field("keep", json_schema_extra=marks(flag="--secrets report|redact|drop"))
    """What keys and passwords in a row do: nothing (keep), be reported, be redacted, or drop the row."""
    drop_nulls: bool = Field(False, json_schema_extra=marks(flag="--drop-nulls"))
    """Drop rows in which a text is null or missing."""
    drop_blank: bool = Field(False, json_schema_extra=marks(flag="--drop-blank"))
    """Drop rows in which a text is empty or white space alone."""
    min_chars: dict[str, Characters] = Field(
        default_factory=dict, json_schema_extra=marks(flag="--min-chars [FIELD=]N", unit="characters")
    )
    """Fewest characters that a text may have, by field or role; "*" is every one."""
    max_chars: dict[str, Characters] = Field(
        default_factory=dict, json_schema_extra=marks(flag="--max-chars [FIELD=]N", unit="characters")
    )
    """Most characters that a text may have, by field or role; "*" is every one."""
    min_tokens: int | None = Field(None, ge=1, json_schema_extra=marks(flag="--min-tokens N", unit="tokens"))
    """Fewest tokens that all text of a row may have together."""
    max_tokens: int | None = Field(None, ge=1, json_schema_extra=marks(flag="--max-tokens N", unit="tokens"))
    """Most tokens that all text of a row may have together."""
    tokenizer: str = Field("nano", json_schema_extra=marks(flag="--tokenizer NAME"))
    """Whose tokens are counted: nano, a tokenizer.json, or a folder that holds one; in a recipe, unless it is set,
    base_model."""
    languages: tuple[str, ...] = Field((), json_schema_extra=marks(flag="--language CODE"))
    """Codes such as en and pt: rows in another language are dropped; without any, none are."""
    exclude_files: tuple[str, ...] = Field((), json_schema_extra=marks(flag="--exclude FILE"))
    """Files of test rows: a row with the same prompt as one of them is dropped (contamination)."""
    near_overlap: float | None = Field(None, gt=0, le=1, json_schema_extra=marks(flag="--near-overlap SHARE"))
    """Drop rows that are at least this alike to one of exclude_files, too, e.g. 0.8."""
    drop_duplicates: Same | None = Field(None, json_schema_extra=marks(flag="--drop-duplicates row|prompt"))
    """Keep the first of rows that are equal (row), or that have the same prompt (prompt)."""
    prompt_fields: tuple[str, ...] = Field((), json_schema_extra=marks(flag="--prompt-field FIELD"))
    """Columns of a table that are its prompt; the others are the answer."""
    conflicts: Literal["keep", "first", "drop"] = Field("keep", json_schema_extra=marks(flag="--conflicts first|drop"))
    """Of different answers to one prompt: keep them, keep the first, or drop them all."""
    near_duplicates: float | None = Field(None, gt=0, le=1, json_schema_extra=marks(flag="--near-duplicates SHARE"))
    """Drop rows that are at least this alike to an earlier one, e.g. 0.8."""
    max_per_class: int | None = Field(None, ge=1, json_schema_extra=marks(flag="--max-per-class N", unit="rows"))
    """At most this many rows of a label (else of an answer), sampled by seed."""
    max_samples: int | None = Field(None, ge=1, json_schema_extra=marks(flag="--max-samples N", unit="rows"))
    """At most this many rows, sampled by seed."""
    stratified: bool = Field(False, json_schema_extra=marks(flag="--stratified"))
    """Sample and split so that each label (else each answer) keeps its share."""
    seed: int = Field(42, ge=0, json_schema_extra=marks(flag="--seed N"))
    """Decides every sample; in a recipe, unless it is set, training.seed."""

    @field_validator("languages")
    @classmethod
    def _languages_are_known(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        for language in languages:
            if language not in LANGUAGES:
                start = language[:2].lower()
                hint = f'Did you mean "{start}"?' if start in LANGUAGES else f"One of {', '.join(LANGUAGES)}."
                raise ValueError(f'codes of languages that are recognised, which "{language}" is not. {hint}')
        return languages

    @field_validator("max_chars")
    @classmethod
    def _some_length_is_allowed(cls, most: dict[str, int], info: ValidationInfo) -> dict[str, int]:
        least = info.data.get("min_chars", {})
        for field in {*most, *least}:
            low, high = (limits.get(field, limits.get("*")) for limits in (least, most))
            if low is not None and high is not None and low > high:
                of = "" if field == "*" else f" for {field}"
                raise ValueError(f"at least {low}{of}, the fewest that min_chars allows")
        return most

    @field_validator("max_tokens")
    @classmethod
    def _some_count_is_allowed(cls, most: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("min_tokens")
        if most is not None and least is not None and least > most:
            raise ValueError(f"at least {least}, the fewest that min_tokens allows")
        return most

    @property
    def counts_tokens(self) -> bool:
        """Whether rows are measured in tokens."""
        return self.min_tokens is not None or self.max_tokens is not None

    @property
    def draws(self) -> bool:
        """Whether rows are sampled by seed."""
        return self.max_samples is not None or self.max_per_class is not None

    @property
    def by_class(self) -> bool:
        """Whether sampling depends on the class of a row: its label, or the answer itself."""
        return self.stratified or self.max_per_class is not None
