"""Settings of rendering."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RenderingConfig(BaseModel):
    """How conversations become token ids."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    max_length: int = Field(2048, ge=8)
    """Longest training sequence, in tokens."""
    eval_max_length: int | None = Field(None, ge=8)
    """Longest held-out sequence, in tokens; null means max_length."""
    on_too_long: Literal["cut", "drop", "refuse"] = "cut"
    """What a sequence above max_length does: lose its last tokens, be left out, or end the command; always counted."""
    chat_template: str | None = None
    """A jinja file that replaces the tokenizer's own chat template."""
    chat_template_kwargs: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Extra variables for the chat template, e.g. {enable_thinking: false}."""
    inject_tool_preamble: bool = True
    """Put instructions for calling tools into the system prompt where the chat template does not know tools."""
