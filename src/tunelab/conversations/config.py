"""Settings of how rows become conversations."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from tunelab.conversations.field_map import refuse_unknown_names, refuse_unknown_roles
from tunelab.conversations.safe_regex import refuse_bad_pattern
from tunelab.settings import marks

FormatName = Literal[
    "auto",
    "messages",
    "sharegpt",
    "prompt_completion",
    "instruction",
    "input_output",
    "session",
    "query_response",
    "table",
    "text",
]

ReadAs = Literal["system", "user", "assistant", "tool", "function_call"]


class ConversationConfig(BaseModel):
    """How rows become conversations."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    format: FormatName = "auto"
    """The format of the rows; auto looks at them and says what it saw."""
    field_map: dict[str, str] = Field(default_factory=dict)
    """Name that a format reads -> what the files call that field, e.g. {prompt: question, completion: answer}, or of
    messages {messages: dialog, role: speaker, content: words}. For tables, templates name the columns instead."""
    role_map: dict[str, ReadAs] = Field(default_factory=dict)
    """Role as the files write it -> system, user, assistant or tool; function_call for a turn that holds the
    assistant's calls as JSON."""
    system_prompt: str | None = Field(None, json_schema_extra=marks(everyday=True))
    """System prompt of every conversation; replaces the one in the data."""
    prompt_template: str | None = None
    """For tables: the user's message, with {column} in braces, e.g. 'Describe: {title}'."""
    completion_template: str | None = None
    """For tables: the assistant's answer, e.g. '{content}'."""
    tool_catalog: str | None = None
    """JSON file of tool definitions; replaces the tools of the rows."""
    inject_tool_catalog: bool = True
    """Offer the tool catalogue to the model; false leaves every tool definition out."""
    label_field: str | None = Field(None, json_schema_extra=marks(flag="--label-field FIELD"))
    """Field of the row that holds its label: the class it counts as, never trained."""
    label_json_key: str | None = Field(None, json_schema_extra=marks(flag="--label-json-key KEY"))
    """For answers that are JSON objects: the key that holds the label."""
    label_pattern: str | None = Field(None, json_schema_extra=marks(flag="--label-pattern REGEX"))
    """Regular expression that finds the label in the answer: its first group, or the whole match; without look-around
    and back-references."""

    @field_validator("field_map")
    @classmethod
    def _known_names(cls, field_map: dict[str, str]) -> dict[str, str]:
        refuse_unknown_names(field_map)
        return field_map

    @field_validator("role_map", mode="before")
    @classmethod
    def _known_roles(cls, role_map: object) -> object:
        if isinstance(role_map, dict):
            refuse_unknown_roles(role_map, get_args(ReadAs))
        return role_map

    @field_validator("label_pattern")
    @classmethod
    def _pattern_can_be_read(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            refuse_bad_pattern(pattern)
        return pattern

    @field_validator("label_json_key", "label_pattern")
    @classmethod
    def _one_way_to_the_label(cls, value: str | None, info: ValidationInfo) -> str | None:
        others = [name for name in ("label_field", "label_json_key") if info.data.get(name) is not None]
        if value is not None and others:
            raise ValueError(f"names a second way to the label: data.{others[0]} is set")
        return value
