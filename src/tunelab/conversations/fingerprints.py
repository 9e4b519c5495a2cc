"""What a conversation asks and what it answers, as digests that equal where the words do, white space aside."""

import hashlib

from tunelab.conversations.conversation import Conversation, Message
from tunelab.files import canonical_json


def answer_turns(conversation: Conversation) -> list[int]:
    """Return the indices of the assistant messages to train, those that are left out among them."""
    turns = [index for index, message in enumerate(conversation.messages) if message.role == "assistant"]
    return turns if conversation.train == "all" else turns[-1:]


def trained_turns(conversation: Conversation) -> list[int]:
    """Return the indices of the assistant messages that are trained; empty for plain text."""
    return [index for index in answer_turns(conversation) if not conversation.messages[index].untrained]


def prompt_keys(conversation: Conversation) -> list[bytes]:
    """Return, for each trained answer, a digest of all messages before it; empty for plain text."""
    turns = set(trained_turns(conversation))
    keys, digest = [], hashlib.blake2b(digest_size=16)
    for index, message in enumerate(conversation.messages):
        if index in turns:
            keys.append(digest.digest())
        digest.update(_bytes(message))
    return keys


def beginnings(conversation: Conversation) -> list[int]:
    """Return, for each message, a 64-bit hash of all up to it; empty for plain text."""
    hashes, digest = [], hashlib.blake2b(digest_size=16)
    for message in conversation.messages:
        digest.update(_bytes(message))
        hashes.append(int.from_bytes(digest.digest()[:8], "little", signed=True))
    return hashes


def questions(conversation: Conversation) -> list[bytes]:
    """Return what a conversation asks, in order: its prompt keys; a plain text is its own question."""
    return prompt_keys(conversation) or [answer_key(conversation)]


def answer_key(conversation: Conversation) -> bytes:
    """Return a digest of the last trained answer, or of a plain text; of all messages if no answer is trained."""
    turns = trained_turns(conversation)
    if conversation.text is not None:
        content = conversation.text.encode(errors="replace")
    else:
        hashed = [conversation.messages[turns[-1]]] if turns else conversation.messages
        content = b"\x1e".join(map(_bytes, hashed))
    return hashlib.blake2b(content, digest_size=16).digest()


def _bytes(message: Message) -> bytes:
    words = [" ".join((part or "").split()) for part in (message.content, message.reasoning)]
    calls = [canonical_json([call.name, call.arguments]) for call in message.tool_calls]
    return "\x1f".join([message.role, *words, *calls]).encode(errors="replace")  # split() and JSON leave no \x1f
