"""Checks of how texts read: damage, remains, stock phrases, refusals, loops, copies, languages."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding, Severity
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.checks.text_index import place, texts_of
from tunelab.conversations.conversation import Conversation
from tunelab.conversations.fingerprints import trained_turns
from tunelab.texts.language import UNKNOWN, language_of
from tunelab.texts.quality import Oddity, contains, copies, repetition, speaks_of_markup


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedAnswer:
    """A trained answer in words, with what it answers."""

    conversation: Conversation
    number: int
    """Of its message, from 1."""
    text: str
    question: str
    """The last message of the user before it; empty where there is none."""

    def __str__(self) -> str:
        return place(self.conversation, self.number)


@rule("mojibake", "html_remains", "control_characters")
def damaged_texts(context: CheckContext) -> Iterator[Finding]:
    """Conversations with letters that were read wrongly, tags that no one took out, characters that cannot be seen."""
    texts = texts_of(context.dataset.conversations)

    def finding(oddity: Oddity, says: str, severity: Severity | None, why: str, remedy: str) -> Iterator[Finding]:
        hits = list(texts.places(contains(texts.different, oddity)))
        if oddity == "html":
            hits = [(item, number, text) for item, number, text in hits if not _about_markup(item)]
        places = [place(item, number) for item, number, _ in hits]
        total = len(context.dataset.conversations)
        yield from found(
            places,
            total,
            "conversation",
            says,
            code=_CODES[oddity],
            severity=severity or _by_share(places, total, context),
            why=why,
            remedy=remedy,
        )

    yield from finding(
        "mojibake",
        'hold letters that were read in the wrong encoding, such as "Ã©" for "é"',
        "warning",
        "The model learns to write the damage.",
        "Read the source as UTF-8 and write it anew; text that is damaged once can be turned back, row by row.",
    )
    yield from finding(
        "html",
        "hold HTML tags or entities and do not speak of HTML",
        None,
        "The model learns to write tags where its users read plain text.",
        "Remove them: tunelab clean --strip-html also turns &amp; and the like into the characters they mean.",
    )
    yield from finding(
        "control_characters",
        "hold characters that cannot be seen",
        "note",
        "They are tokens that mean nothing, or turn the direction of the text around; a reader cannot find them.",
        "Remove them: tunelab clean --remove-control-characters leaves line ends and tabs.",
    )


@rule("boilerplate", "refusal", "repetition", "answer_copies_prompt", "answer_too_short")
def odd_answers(context: CheckContext) -> Iterator[Finding]:
    """Trained answers that no reader would be pleased with."""
    answers = _answers(context)
    texts = [each.text for each in answers]
    limit = context.config.max_repetition

    def finding(odd: Sequence[TrainedAnswer], says: str, code: str, why: str, remedy: str) -> Iterator[Finding]:
        severity = _by_share(odd, len(answers), context)
        total = len(answers)
        yield from found(odd, total, "answer", says, code=code, severity=severity, why=why, remedy=remedy)

    yield from finding(
        _chosen(answers, contains(texts, "boilerplate")),
        'speak of themselves as a model ("As an AI language model")',
        "boilerplate",
        "It is the voice of the model that wrote the rows, and yours will speak with it.",
        "Rewrite or leave out these answers, unless that voice is intended.",
    )
    yield from finding(
        _chosen(answers, contains(texts, "refusal")),
        "open by declining",
        "refusal",
        "A few refusals teach many: the model declines what it could do.",
        "Keep those that are meant, and answer the others.",
    )
    yield from finding(
        _chosen(answers, repetition(texts) > limit),
        f"repeat themselves: more than {100 * limit:g} % of their runs of four words repeat earlier ones",
        "repetition",
        "Loops are learnt fast, and the model falls into them where it is unsure.",
        "Leave these answers out, or raise checks.max_repetition if lists and verses are what you train.",
    )
    yield from finding(
        [each for each in answers if copies(each.text, each.question)],
        "give back their question word for word and little else",
        "answer_copies_prompt",
        "The model learns to echo.",
        "Check whether columns are mixed up; if copying is the task, go on.",
    )
    yield from finding(
        _too_short(answers, context.config.min_answer_chars),
        f"have fewer than {context.config.min_answer_chars} characters where most are ten times as long",
        "answer_too_short",
        "Cut-off or empty-handed answers among long ones teach the model to stop early.",
        "Look at a few with --show --worst SHORT: complete them, leave them out, or lower checks.min_answer_chars.",
    )


@rule("language_mix", "answer_language")
def languages(context: CheckContext) -> Iterator[Finding]:
    """The languages of answers, and answers in another language than their question; a sample is looked at."""
    most = context.config.language_sample
    answers = _answers(context)
    sampled = answers[:: -(-len(answers) // most)] if most and answers else []
    written = [(each, language_of(each.text)) for each in sampled]
    known = [(each, language) for each, language in written if language != UNKNOWN]
    counts = Counter(language for _, language in known)
    main = [language for language, count in counts.items() if count > _RARE_LANGUAGE * len(known)]
    others = [(each, language) for each, language in known if language != counts.most_common(1)[0][0]]
    shares = ", ".join(f"{language} {100 * count / len(known):.1f} %" for language, count in counts.most_common(5))
    of_some = " (a sample)" if len(sampled) < len(answers) else ""
    yield from found(
        others if len(main) > 1 else [],
        len(known),
        "answer",
        f"are in another language than most: {shares}{of_some}",
        code="language_mix",
        severity="note",
        examples=[f"{each}: {language}" for each, language in others],
        why="A model of few weights learns several languages less well than one, and may answer in the wrong one.",
        remedy="To train one, drop the others (tunelab clean --language en); else answer each question in its own.",
    )
    pairs = [(each, language_of(each.question), language) for each, language in known]
    crossed = [(each, question, language) for each, question, language in pairs if question not in (language, UNKNOWN)]
    yield from found(
        crossed,
        len(known),
        "answer",
        f"are in another language than their question{of_some}",
        code="answer_language",
        severity=_by_share(crossed, len(known), context),
        examples=[f"{each}: {language} answers {question}" for each, question, language in crossed],
        why="The model learns to leave the language of its user.",
        remedy="Where translating is not the task, answer in the language of the question.",
    )


_CODES: dict[Oddity, str] = {
    "mojibake": "mojibake",
    "html": "html_remains",
    "control_characters": "control_characters",
}
_RARE_LANGUAGE = 0.01
"""Share up to which a language among answers is a quotation or a mistake of the classifier."""


def _answers(context: CheckContext) -> list[TrainedAnswer]:
    answers = []
    for item in context.dataset.conversations:
        turns, question = set(trained_turns(item)), ""
        for index, message in enumerate(item.messages):
            if message.role == "user":
                question = message.content or ""
            elif index in turns and message.content:
                answers.append(
                    TrainedAnswer(conversation=item, number=index + 1, text=message.content, question=question)
                )
    return answers


def _chosen(answers: Sequence[TrainedAnswer], hits: NDArray[np.bool_]) -> list[TrainedAnswer]:
    return [answers[int(index)] for index in np.flatnonzero(hits)]


def _too_short(answers: Sequence[TrainedAnswer], limit: int) -> list[TrainedAnswer]:
    lengths = [len(each.text.strip()) for each in answers]
    if not lengths or median(lengths) < 10 * limit:
        return []
    return [each for each, length in zip(answers, lengths, strict=True) if 0 < length < limit]


def _about_markup(item: Conversation) -> bool:
    return any(speaks_of_markup(message.content or "") for message in item.messages)


def _by_share(items: Sequence[object], total: int, context: CheckContext) -> Severity:
    return "warning" if len(items) > context.config.max_odd * total else "note"
