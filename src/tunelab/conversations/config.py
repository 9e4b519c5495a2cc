"""Settings of how rows become conversations."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

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


class ConversationConfig(BaseModel):
    """How rows become conversations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: FormatName = Field("auto", description="The shape of the rows; auto looks at them and says what it saw.")
    system_prompt: str | None = Field(
        None, description=("System prompt of every conversation; replaces the one in the data.")
    )
    prompt_template: str | None = Field(
        None, description="For tables: the user's message, with {column} in braces, e.g. 'Describe: {title}'."
    )
    completion_template: str | None = Field(None, description="For tables: the assistant's answer, e.g. '{content}'.")
    tool_catalog: str | None = Field(None, description="JSON file of tool definitions; replaces the tools of the rows.")
    inject_tool_catalog: bool = Field(
        True, description=("Offer the tool catalogue to the model; false leaves every tool definition out.")
    )
