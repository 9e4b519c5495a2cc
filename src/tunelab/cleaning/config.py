"""Settings of cleaning. What is not set changes nothing and drops nothing."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from tunelab.texts.language import LANGUAGES

Characters = Annotated[int, Field(ge=0)]
Answer = Literal["keep", "report", "redact", "drop"]


class CleaningConfig(BaseModel):
    """What is changed in rows and which rows go, in the order in which it is done."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text_fields: tuple[str, ...] = Field(
        (), description="Fields that rules on text, and rows that are compared, look at; empty takes all of them."
    )
    strip_html: bool = Field(False, description="Take HTML tags, comments and entities out of text.")
    remove_control_characters: bool = Field(
        False, description="Take control characters out of text; tabs and line breaks stay."
    )
    unicode_normalization: Literal["NFC", "NFKC"] | None = Field(
        None, description="Unicode form that all text is brought into; null leaves it."
    )
    personal_data: Answer = Field(
        "keep", description="What personal data in a row do: nothing, be reported, be redacted, or drop the row."
    )
    secrets: Answer = Field(
        "keep", description="What keys and passwords in a row do: nothing, be reported, be redacted, or drop the row."
    )
    drop_nulls: bool = Field(False, description="Drop rows in which a text is null or missing.")
    drop_blank: bool = Field(False, description="Drop rows in which a text is empty or white space alone.")
    min_chars: dict[str, Characters] = Field(
        default_factory=dict,
        description='Field or role -> fewest characters that its text may have; "*" stands for every one.',
    )
    max_chars: dict[str, Characters] = Field(
        default_factory=dict,
        description='Field or role -> most characters that its text may have; "*" stands for every one.',
    )
    min_tokens: int | None = Field(None, ge=1, description="Fewest tokens that all text of a row may have together.")
    max_tokens: int | None = Field(None, ge=1, description="Most tokens that all text of a row may have together.")
    tokenizer: str = Field(
        "nano", description="Whose tokens are counted: nano, a tokenizer.json, or a folder that holds one."
    )
    languages: tuple[str, ...] = Field(
        (), description="Codes such as en and pt: rows in another language are dropped; empty keeps all."
    )
    exclude_files: tuple[str, ...] = Field(
        (), description="Files of test rows: a row that asks what one of them asks is dropped."
    )
    near_overlap: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Drop rows that are at least this alike to one of exclude_files, too; null: none.",
    )
    drop_duplicates: Literal["row", "prompt"] | None = Field(
        None, description="Keep the first of rows that are equal, or that ask the same; null keeps all."
    )
    prompt_fields: tuple[str, ...] = Field(
        (), description="Fields that are the prompt, where rows are no conversations; the others are the answer."
    )
    conflicts: Literal["keep", "first", "drop"] = Field(
        "keep", description="Of different answers to one prompt: keep them, keep the first, or drop them all."
    )
    near_duplicates: float | None = Field(
        None, gt=0, le=1, description="Drop rows that are at least this alike to an earlier one; null keeps all."
    )
    max_per_class: int | None = Field(
        None, ge=1, description="At most this many rows of a label (else of an answer), drawn by seed."
    )
    max_samples: int | None = Field(None, ge=1, description="At most this many rows, drawn by seed; null takes all.")
    stratified: bool = Field(False, description="Draw and split so that each label (else each answer) keeps its share.")
    seed: int = Field(42, ge=0, description="Decides every draw.")

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
    def by_class(self) -> bool:
        """Whether a draw asks for the class of a row: its label, or the answer itself."""
        return self.stratified or self.max_per_class is not None
