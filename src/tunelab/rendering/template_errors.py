"""Why an answer cannot be trained, in words."""

from tunelab.errors import DataError
from tunelab.rendering.tokens.marked_text import agreed
from tunelab.rendering.tokens.tokenizer import ControlTokenError

CONTINUATION = "a continuation of the prompt"
"""What the DataError of an answer expects that a template does not write as its generation prompt opens it."""
_OPENS_OTHERWISE = (
    "Let the template open the turn as the data do: data.chat_template_kwargs (often {enable_thinking: %s}), "
    "another data.chat_template, or rows with reasoning_content if the prompt opens a reasoning block."
)


def unasked(*, where: str) -> DataError:
    """Return the fault of an answer that begins a conversation."""
    what = "there is nothing before this answer: no prompt leads to it"
    return DataError(what, where=where, remedy="Put a question or a system message in front, or take it out.")


def broken_off(before: str, prompt: str, whole: str, *, where: str, reasons: bool) -> DataError:
    """Return the fault of an answer that does not continue a prompt for it.

    Args:
        before: the text of the messages before it.
        prompt: the text that asks for it.
        whole: the text up to and with it.
        where: file, line and message.
        reasons: whether the row says what was thought before it.
    """
    start = agreed(prompt, whole)
    if start < len(before) and prompt.startswith(before):
        what = (
            f"the chat template writes the messages before this answer as {_shown(prompt[start:])} in a prompt for it, "
            f"and as {_shown(whole[start:])} once it is there"
        )
        remedy = "Take out of the template what counts messages or looks ahead, or name another data.chat_template."
        return DataError(what, where=where, expected=CONTINUATION, remedy=remedy)
    what = (
        f"the chat template writes this answer as {_shown(whole[start:])} "
        f"and a prompt for it continues with {_shown(prompt[start:])}"
    )
    remedy = _OPENS_OTHERWISE % ("true" if reasons else "false")
    return DataError(what, where=where, expected=CONTINUATION, remedy=remedy)


def refused(error: Exception, *, where: str) -> DataError:
    """Return the fault of a turn that the template or the tokenizer refused, in its own words."""
    if isinstance(error, ControlTokenError):
        return DataError(str(error), where=where, remedy="Take it out of the row.")
    kind = "" if type(error).__name__ == "TemplateRefusalError" else f"{type(error).__name__}: "
    what = f'the chat template refuses this conversation up to here: "{kind}{error}"'
    return DataError(what, where=where, remedy="Fix the row, or name a data.chat_template that takes it.")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
