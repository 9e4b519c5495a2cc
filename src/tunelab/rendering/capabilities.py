"""What a chat template can do, found by rendering small conversations with it."""

import re
from collections.abc import Mapping, Sequence

from tunelab.conversations.conversation import Message, ToolCall
from tunelab.errors import ModelError
from tunelab.rendering.template_messages import Abilities, for_template
from tunelab.rendering.templates.engine import ChatTemplate
from tunelab.rendering.tokens.marked_text import agreed
from tunelab.rendering.tokens.tokenizer import Tokens

_USER, _SYSTEM, _ANSWER, _TOOL, _ARGUMENT, _RESULT = "Uq7u", "Sq7s", "Aq7a", "tq7t", "Gq7g", "Rq7r"
_NAME = "Nq7n"
_ID = "call12345"  # nine characters, as Mistral's templates require

_QUESTION = Message(role="user", content=_USER)
_CALL = Message(role="assistant", tool_calls=(ToolCall(name=_TOOL, arguments={"a": _ARGUMENT}, id=_ID),))
_PROPERTIES = {"a": {"type": "string", "description": "a"}}
_TOOLS: tuple[Mapping[str, object], ...] = (
    {
        "type": "function",
        "function": {
            "name": _TOOL,
            "description": "d",
            "parameters": {"type": "object", "properties": _PROPERTIES, "required": ["a"]},
        },
    },
)


def find_abilities(templates: Mapping[str, ChatTemplate], tokens: Tokens, *, where: str) -> Abilities:
    """Return what the templates do with a system message, tools, calls and the end of a turn.

    Raises:
        ModelError: not even one question can be rendered.
    """
    default, for_tools = templates["default"], templates.get("tool_use", templates["default"])
    parts = _USER not in _text(default, [_QUESTION], Abilities())
    plain = Abilities(parts=parts, tool_calls=True)
    if parts and _USER not in _text(default, [_QUESTION], plain):
        raise _useless(default, where)
    tools = _TOOL in _text(for_tools, [_QUESTION], plain, _TOOLS)
    catalogue = _TOOLS if tools else ()
    result = Message(role="tool", content=_RESULT, tool_call_id=_ID, name=_TOOL)
    text_arguments = _TOOL not in _text(for_tools, [_QUESTION, _CALL], plain, catalogue)
    calling = Abilities(parts=parts, tool_calls=True, text_arguments=text_arguments)
    calls = _text(for_tools, [_QUESTION, _CALL, result], calling, catalogue)
    closing = _after(_ANSWER, _text(default, [_QUESTION, Message(role="assistant", content=_ANSWER)], plain))
    tool_calls = all(word in calls for word in (_TOOL, _ARGUMENT, _RESULT))
    history = [_QUESTION, Message(role="assistant", content=_ANSWER), _QUESTION]
    two_questions = _text(default, history, plain)
    with_question = _after(_ANSWER, two_questions)
    own_system, keeps_own_system, own_system_silenced = _own_system(default, two_questions, plain, tokens)
    ends = [_end_of_answer(closing, with_question, tokens)]
    call_ids = False
    next_turn = [_first(with_question.removeprefix(closing), tokens)] * 2
    if tool_calls:
        called = _text(for_tools, [_QUESTION, _CALL], calling, catalogue)
        call_ids = calls.count(_ID) > called.count(_ID)
        after_call = _after(_ARGUMENT, called)
        ends += [end for end in _specials(after_call, tokens)[-1:] if after_call.rstrip().endswith(end)]
        next_turn[1] = _first(calls.removeprefix(called), tokens)
    return Abilities(
        parts=parts,
        system=_SYSTEM in _text(default, [Message(role="system", content=_SYSTEM), _QUESTION], plain),
        names=_NAME in _text(default, [Message(role="user", content=_USER, name=_NAME)], plain),
        tools=tools,
        tool_calls=tool_calls,
        call_ids=call_ids,
        text_arguments=text_arguments and tool_calls,
        closing=closing,
        own_system=own_system,
        keeps_own_system=keeps_own_system,
        own_system_silenced=own_system_silenced,
        end_of_turn=tuple(dict.fromkeys(end for end in ends if end)),
        next_turn=(next_turn[0], next_turn[1]),
    )


def _own_system(template: ChatTemplate, two_questions: str, plain: Abilities, tokens: Tokens) -> tuple[str, bool, bool]:
    """Return the system text that a template writes by itself, whether even before one that it is given, and whether an
    empty one keeps it from doing so.

    Args:
        two_questions: a conversation of question, answer and the same question: what precedes the second question is
            the header of a turn, the rest of what precedes the first is the template's own.
    """
    before_first, _, rest = two_questions.partition(_USER)
    header = rest.partition(_USER)[0]
    end = len(before_first) - agreed(before_first[::-1], header[::-1])
    cut = (match for match in tokens.control.finditer(before_first) if match.start() < end < match.end())
    own = _words(before_first[: next((match.end() for match in cut), end)], tokens)
    if not own:
        return "", False, False

    def writes_it(system: str) -> bool:
        text = _text(template, [Message(role="system", content=system), _QUESTION], plain)
        return own in _words(text.partition(_USER)[0], tokens) or not text

    return own, writes_it(_SYSTEM), not writes_it("")


def _words(text: str, tokens: Tokens) -> str:
    """Return text without control tokens and the names of roles after them."""
    words = re.sub(r"(?m)^\s*(?:system|developer)\s*$", "", tokens.control.sub("\n", text))
    return re.sub(r"\s*\n\s*", "\n", words).strip()


def _end_of_answer(closing: str, with_question: str, tokens: Tokens) -> str | None:
    """Return the control token that ends an answer: the last that is there whether or not a question follows."""
    always = closing[: agreed(closing, with_question)]
    return next(iter(_specials(always, tokens)[-1:] or _specials(closing, tokens)[:1]), None)


def _first(text: str, tokens: Tokens) -> str | None:
    """Return the special token that a text begins with, white space aside."""
    return next((token for token in _specials(text, tokens)[:1] if text.lstrip().startswith(token)), None)


def _specials(text: str, tokens: Tokens) -> list[str]:
    found = [match.group() for match in tokens.control.finditer(text)]
    return [token for token in found if tokens.is_special(tokens.id_of[token])]


def _after(marker: str, text: str) -> str:
    return text.rpartition(marker)[2] if marker in text else ""


def _text(
    template: ChatTemplate,
    messages: Sequence[Message],
    abilities: Abilities,
    tools: Sequence[Mapping[str, object]] = (),
) -> str:
    """Return the rendered text, or an empty one where the template refuses."""
    try:
        dicts = for_template(messages, (), abilities, with_preamble=False)
        return template.render(dicts, tools, add_generation_prompt=messages[-1].role == "user")
    except Exception:  # a refusal is an answer here
        return ""


def _useless(template: ChatTemplate, where: str) -> ModelError:
    try:
        template.render([{"role": "user", "content": _USER}], add_generation_prompt=True)
        reason = "it does not write it"
    except Exception as error:
        reason = str(error) or type(error).__name__
    remedy = "Fix it, or name another jinja file in data.chat_template."
    return ModelError(f"the chat template cannot render a single question: {reason}", where=where, remedy=remedy)
