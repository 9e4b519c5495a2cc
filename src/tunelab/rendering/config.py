"""Settings of rendering."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from tunelab.settings import marks


class RenderingConfig(BaseModel):
    """How conversations become token ids."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    max_length: int = Field(2048, ge=8, json_schema_extra=marks(everyday=True, scale="log", unit="tokens"))
    """Longest training sequence, in tokens."""
    eval_max_length: int = Field(None, ge=8, validate_default=True, json_schema_extra=marks(scale="log", unit="tokens"))
    """Longest held-out sequence, in tokens; that of max_length unless it is set."""
    on_too_long: Literal["cut", "drop", "refuse"] = "cut"
    """A sequence above max_length is truncated (cut), left out (drop), or ends the command (refuse); always counted."""
    chat_template: str | None = None
    """A jinja file that replaces the tokenizer's own chat template."""
    chat_template_kwargs: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Extra variables for the chat template, e.g. {enable_thinking: false}."""
    inject_tool_preamble: bool = True
    """Put instructions for calling tools into the system prompt if the chat template does not know tools."""

    @property
    def silences_system(self) -> bool:
        """True if no conversation is to have a system message, not even one that the template would write itself."""
        return False

    @field_validator("eval_max_length", mode="before")
    @classmethod
    def _as_long_as_in_training(cls, given: object, info: ValidationInfo) -> object:
        # a max_length that is refused is the one fault to report
        return info.data.get("max_length", cls.model_fields["max_length"].default) if given is None else given
