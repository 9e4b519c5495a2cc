"""Checks of what the chat template does with these conversations, and what it cannot do."""

from collections.abc import Iterator

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding
from tunelab.checks.phrases import found
from tunelab.checks.rule import rule
from tunelab.conversations.fingerprints import trained_turns
from tunelab.rendering.template_errors import CONTINUATION


@rule("unrenderable_turn", "generation_prompt_mismatch")
def unrenderable_turns(context: CheckContext) -> Iterator[Finding]:
    """Answers that the chat template refuses, or does not write whole."""
    skipped = context.skips_bad_rows
    refused = [error for error in context.dataset.bad_turns if error.expected != CONTINUATION]
    yield from found(
        refused,
        context.dataset.num_answers,
        "answer",
        f"cannot be rendered by this model's template{' and are left out' if skipped else ''}",
        code="unrenderable_turn",
        severity="note" if skipped else "error",
        why="Training such an answer would teach what serving can never ask for.",
        remedy="Fix these rows or the template's settings"
        + (" to train on them, too." if skipped else ", or leave the rows out with --skip-bad-rows."),
    )
    torn = [error for error in context.dataset.bad_turns if error.expected == CONTINUATION]
    yield from found(
        torn,
        context.dataset.num_answers,
        "answer",
        f"do not continue the generation prompt{' and are left out' if skipped else ''}",
        code="generation_prompt_mismatch",
        severity="note" if skipped else "error",
        why="Serving opens the turn one way, the row another: what would be trained is a turn that never comes.",
        remedy="Let the template open the turn as the rows do: data.chat_template_kwargs (often enable_thinking), "
        "another data.chat_template, or rows with reasoning_content if the prompt opens a reasoning block.",
    )


@rule("system_role_unsupported")
def system_in_user_turn(context: CheckContext) -> Iterator[Finding]:
    """Conversations with a system message, and a template that takes none."""
    if context.template is None or context.template.system:
        return
    chats = [item for item in context.dataset.conversations if item.text is None]
    yield from found(
        [item for item in chats if any(message.role == "system" for message in item.messages)],
        len(chats),
        "conversation",
        "have a system message, and the chat template takes none: it is put in front of the first user message",
        code="system_role_unsupported",
        severity="note",
        why="Any other engine that serves the model must put it there, too: most refuse or drop it.",
        remedy="Serve with the prompt that --show prints, or name a data.chat_template that takes a system message.",
    )


@rule("system_prompt_added")
def system_prompt_added(context: CheckContext) -> Iterator[Finding]:
    """Conversations for which the template writes a system text that no row holds."""
    template = context.template
    if template is None or not template.own_system:
        return
    chats = [item for item in context.dataset.conversations if item.text is None]
    without = [item for item in chats if not item.messages or item.messages[0].role != "system"]
    concerned = chats if template.keeps_own_system else without
    mixed = bool(without) and len(without) < len(chats) and not template.keeps_own_system
    words = template.own_system.replace("\n", " ")
    others = "; the others have a system message" if mixed else ""
    yield from found(
        concerned,
        len(chats),
        "conversation",
        f'get a system text that the chat template writes by itself: "{_shortened(words)}"{others}',
        code="system_prompt_added",
        severity="warning" if mixed else "note",
        why="Prompts hold text that is in no row: the model is trained to answer as whom it names, and an engine with "
        "another template or default sends another prompt.",
        remedy="Nothing needs to be done if it is meant and served so. To replace it, set data.system_prompt; to go "
        'without, data.system_prompt: "".'
        if template.own_system_silenced
        else "Nothing needs to be done if it is meant and served so. The template writes it whatever the messages are, "
        'so data.system_prompt: "" does not take it away; only another data.chat_template does.',
    )


@rule("turn_left_out")
def turns_left_out(context: CheckContext) -> Iterator[Finding]:
    """Conversations of which the template leaves a message out of the prompt."""
    remarks = [each for side in context.dataset.rendered_sets for each in side.remarks if each.kind == "turn left out"]
    roles = {item.origin: item.messages for item in context.dataset.conversations} if remarks else {}
    yield from found(
        remarks,
        len(context.dataset.conversations),
        "conversation",
        "lose a message of the prompt: the chat template does not write it",
        code="turn_left_out",
        severity="warning",
        examples=[f"{each.origin}: message {each.turn + 1} ({roles[each.origin][each.turn].role})" for each in remarks],
        why="The answer is trained without what it answers to, and serving leaves the message out, too.",
        remedy="Name a data.chat_template that writes such messages, or move their content into one that it writes: a "
        "late system message into the first, results of tools into a message of the user.",
    )


@rule("tools_in_words")
def tools_in_words(context: CheckContext) -> Iterator[Finding]:
    """Conversations with tools or calls, and a template that writes none."""
    template = context.template
    if template is None or (template.tools and template.tool_calls):
        return
    chats = [item for item in context.dataset.conversations if item.text is None]
    concerned = [
        item
        for item in chats
        if (item.tools and not template.tools)
        or (not template.tool_calls and any(message.tool_calls for message in item.messages))
    ]
    yield from found(
        concerned,
        len(chats),
        "conversation",
        "have tools that the chat template cannot write: they are put into words, one line of JSON each",
        code="tools_in_words",
        severity="note",
        why="An engine that reads tool calls of this model family will not find them in its answers.",
        remedy="Read calls out of the text when serving, or name a data.chat_template that knows tools.",
    )


@rule("no_chat_template")
def no_chat_template(context: CheckContext) -> Iterator[Finding]:
    """Conversations, and a model that brings no chat template."""
    if context.has_template:
        return
    chats = [item for item in context.dataset.conversations if item.text is None]
    yield from found(
        chats,
        len(context.dataset.conversations),
        "conversation",
        "are written as bare lines: the model brings no chat template",
        code="no_chat_template",
        severity="warning",
        why="Only a line end separates question and answer, and no engine knows this form.",
        remedy="Name a jinja file in data.chat_template, or take the instruction-tuned sibling of this model.",
    )


@rule("end_of_turn_added")
def end_added(context: CheckContext) -> Iterator[Finding]:
    """Answers that the template does not end, so that an end-of-text token is appended."""
    template = context.template
    if template is None or template.end_of_turn or not context.has_template:
        return
    answers = [item for item in context.dataset.conversations for _ in trained_turns(item)]
    yield from found(
        answers,
        len(answers),
        "trained answer",
        "get an appended end-of-text token: the chat template ends no answer itself",
        code="end_of_turn_added",
        severity="note",
        why="Without it the model would never learn to stop; an engine must stop at that token.",
        remedy="Nothing needs to be done if the engine stops at the model's end-of-text tokens, as most do.",
    )


def _shortened(words: str) -> str:
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"


_SHOWN = 80
"""Characters of a template's own text that a sentence shows."""
