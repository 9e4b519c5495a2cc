"""Checks for text that a chat template has rendered already: its tokens would be trained as words."""

import re
from collections import Counter
from collections.abc import Iterator

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.checks.text_index import place
from tunelab.conversations.conversation import Conversation
from tunelab.conversations.fingerprints import trained_turns
from tunelab.errors import listed
from tunelab.rendering.tokens.chat_markers import END_TOKENS, any_of, opening_marker

_MOST = 0.5
_LONGEST = 100
"""Characters at the end of an answer in which an end token is searched."""


@rule("prerendered_text")
def rendered_already(context: CheckContext) -> Iterator[Finding]:
    """Texts and messages that open as a rendered conversation does: with a turn token or marker of a chat format."""
    own, ends = _own(context), _ends(context)
    places, num_certain = [], 0
    for item in context.dataset.conversations:
        for number, text in _texts(item):
            match = own.match(text)
            if marker := match[1] if match else opening_marker(text):
                places.append(f"{place(item, number)}: {marker}")
                num_certain += match is not None or ends.search(text[-_LONGEST:]) is not None
                break
    total = len(context.dataset.conversations)
    yield from found(
        places,
        total,
        "conversation",
        "hold text that a chat template has rendered already: its tokens are trained as words",
        code="prerendered_text",
        severity="error" if num_certain > context.config.max_odd * total else "warning",
        why="These words are no control tokens: the model learns to type them and does not stop there, loss falls on "
        "questions, too, and serving sends another prompt.",
        remedy='Give the conversation itself, {"messages": […]}, and let the chat template write the tokens; '
        "tunelab check --explain prerendered_text has a script that takes such texts apart.",
    )


@rule("end_token_in_answer")
def end_tokens_in_answers(context: CheckContext) -> Iterator[Finding]:
    """Answers and texts that end with an end token in words, of this tokenizer or of a well-known chat format."""
    own, ends = _own(context), _ends(context)
    counts: Counter[str] = Counter()
    places, total = [], 0
    for item in context.dataset.conversations:
        for number, answer in _answers(item):
            total += 1
            match = ends.search(answer[-_LONGEST:])
            if match and not (item.text and (own.match(answer) or opening_marker(answer))):  # prerendered_text
                counts[match[1]] += 1
                places.append(place(item, number))
    yield from found(
        places,
        total,
        "trained answer",
        f"end with {listed(counts)}, written as words",
        code="end_token_in_answer",
        severity="error" if len(places) > _MOST * total else "warning",
        why="The real end-of-turn token follows: the model learns to type these words before it, and users read them.",
        remedy=f"Remove them. In a JSON Lines file: {_removal(list(counts))}",
    )


def _own(context: CheckContext) -> re.Pattern[str]:
    """Return a pattern for a special token of this tokenizer at the beginning of a text."""
    return re.compile(rf"\s*({any_of(context.special_tokens)})")


def _ends(context: CheckContext) -> re.Pattern[str]:
    return re.compile(rf"({any_of((*context.end_tokens, *END_TOKENS))})\s*$")


def _texts(item: Conversation) -> Iterator[tuple[int, str]]:
    """Yield the number of each message with its text; 0 with a plain text."""
    if item.text is not None:
        yield 0, item.text
    for number, message in enumerate(item.messages, start=1):
        if message.content:
            yield number, message.content


def _answers(item: Conversation) -> Iterator[tuple[int, str]]:
    if item.text is not None:
        yield 0, item.text
    for turn in trained_turns(item):
        if content := item.messages[turn].content:
            yield turn + 1, content


def _removal(tokens: list[str]) -> str:
    """Return a command that removes tokens at the end of JSON texts, with the blanks and line ends around them."""
    escaped = "|".join(re.sub(r"([][|()*+?.^$\\{}])", r"\\\1", token) for token in tokens)
    blanks = r"( |\\n)*"
    return f"""sed -E 's#{blanks}({escaped}){blanks}"#"#g' rows.jsonl > clean.jsonl"""
