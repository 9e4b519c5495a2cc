"""An answer after its prompt, if the template writes the history differently once the answer is there.

gpt-oss keeps what the assistant thought before a call of a tool until the final answer comes, and leaves it out from
then on. Serving asks for that answer with the thought in the prompt, so that is the prompt it is trained after.
"""

from collections.abc import Callable, Sequence

from tunelab.conversations.conversation import Message
from tunelab.rendering.tokens.marked_text import Marked

_ASKED = Message(role="user", content="Uq7u")
_SAID = Message(role="assistant", content="Aq7a")


def after_its_prompt(
    history: Sequence[Message], before: str, prompt: Marked, whole: Marked, text: Callable[[Sequence[Message]], Marked]
) -> Marked | None:
    """Return `prompt` and the answer that `whole` ends with; None if that one does not begin as the prompt opens it.

    Args:
        history: the messages before the answer.
        before: their text.
        prompt: the same with the opening of the assistant's turn.
        whole: the text of history and answer.
        text: renders messages without an opening.
    """
    opening = prompt.text.removeprefix(before) if prompt.text.startswith(before) else ""
    if not opening or whole.text.startswith(before):
        return None
    # What is between the opening and the words is learnt from a short conversation with a known answer.
    header = _header(text([_ASKED, _SAID]).text, opening)
    other = text([*history, _SAID]).text
    start = other.rfind(opening, 0, other.rfind(_SAID.content or ""))
    if header is None or start < 0 or _header(other[start:], opening) != header:
        return None
    if not whole.text.startswith(other[: start + len(opening)]):
        return None
    answer = whole.part(start + len(opening), len(whole.text))
    shifted = tuple((a + len(prompt.text), b + len(prompt.text)) for a, b in answer.literals)
    return Marked(prompt.text + answer.text, (*prompt.literals, *shifted))


def _header(text: str, opening: str) -> str | None:
    """Return what is between the last opening and the words of the known answer."""
    end = text.rfind(_SAID.content or "")
    start = text.rfind(opening, 0, end)
    return text[start + len(opening) : end] if start >= 0 else None
