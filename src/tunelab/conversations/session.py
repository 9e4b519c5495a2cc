"""Lines of a session log: one line per call of the model."""

from tunelab.conversations.build_conversation import build
from tunelab.conversations.config import ConversationConfig
from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.field_types import fault, fields, fields_of
from tunelab.conversations.messages import read_message, read_messages
from tunelab.sources import Row, kind_of


def from_session_line(row: Row, config: ConversationConfig) -> Conversation:
    """Return the conversation of ``{"session_id"?, "request": {"system", "tools", "messages"}, "response"}``.

    Only the response is trained.
    """
    request = fields(fields_of(row)["request"], "request", row.origin)
    messages = read_messages(request.get("messages"), row.origin, path="request: ")
    return build(row, config, [*messages, _response(row)], fields=request, train="last")


def _response(row: Row) -> Message:
    response = fields_of(row)["response"]
    if isinstance(response, str):
        return Message(role="assistant", content=response)
    if not isinstance(response, dict):
        raise fault(row.origin, f"response is {kind_of(response)}", "text, or an assistant message")
    *others, message = read_message(response, "response", row.origin, default_role="assistant")
    if others or message.role != "assistant":
        raise fault(row.origin, f"response has the role {message.role}", "assistant")
    return message
