"""Room of the conversations: rows of any known shape become messages, roles and tools."""

from tunelab.conversations.config import ConversationConfig, FormatName
from tunelab.conversations.conversation import Conversation, Message, Role, ToolCall
from tunelab.conversations.format import FORMATS, Format
from tunelab.conversations.read_conversations import Conversations, read_conversations
from tunelab.conversations.split import split_conversations

__all__ = [
    "FORMATS",
    "Conversation",
    "ConversationConfig",
    "Conversations",
    "Format",
    "FormatName",
    "Message",
    "Role",
    "ToolCall",
    "read_conversations",
    "split_conversations",
]
