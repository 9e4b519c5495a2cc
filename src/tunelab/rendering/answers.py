"""Conversations as a chat template writes them, and where each answer stands in that text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tunelab.conversations.conversation import Conversation, Message
from tunelab.conversations.fingerprints import trained_turns
from tunelab.errors import DataError
from tunelab.rendering.history_rewrite import behind_its_prompt
from tunelab.rendering.template_errors import broken_off, refused, unasked
from tunelab.rendering.template_messages import Abilities, TemplateMessage, for_template
from tunelab.rendering.templates.engine import ChatTemplate
from tunelab.rendering.templates.prefixes import Prefixes
from tunelab.rendering.tokens.lookalikes import look_alikes, render_marked
from tunelab.rendering.tokens.marked_text import Marked
from tunelab.rendering.tokens.tokenizer import ControlTokenError, Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer in the text of its conversation."""

    text: Marked
    """Begins with the prompt and the answer."""
    start: int
    """Length of the prompt, in characters."""
    stop: int
    """Length of both."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Writer:
    """Writes messages by a model's templates."""

    tokens: Tokens
    templates: Mapping[str, ChatTemplate]
    """Named templates; `default`, and `tool_use` where the model has one for conversations with tools."""
    abilities: Abilities
    with_preamble: bool
    """Whether tools are put into the system text where the template knows none."""

    def text(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, object]], *, add_generation_prompt: bool
    ) -> Marked:
        """Return the text of messages.

        Raises:
            Exception: whatever the template raises.
        """
        template = self._template(tools)
        return render_marked(
            lambda messages, tools: template.render(messages, tools, add_generation_prompt=add_generation_prompt),
            for_template(messages, tools, self.abilities, with_preamble=self.with_preamble),
            tools if self.abilities.tools else (),
            self.tokens,
        )

    def answers(self, conversation: Conversation) -> Iterator[tuple[int, Answer | DataError]]:
        """Yield the index of each answer that is trained, and where it stands or why it cannot be trained."""
        assistants = [index for index, message in enumerate(conversation.messages) if message.role == "assistant"]
        plain = self._plain(conversation, assistants)
        found = [(index, self._answer(conversation, index, plain)) for index in trained_turns(conversation)]
        longest = next((answer.text for _, answer in reversed(found) if isinstance(answer, Answer)), None)
        for index, answer in found:
            if isinstance(answer, Answer) and longest is not None and longest.begins_with(answer.text):
                answer = replace(answer, text=longest)  # one text for many answers is encoded once
            yield index, answer

    def _template(self, tools: Sequence[Mapping[str, object]]) -> ChatTemplate:
        return self.templates["tool_use" if tools and "tool_use" in self.templates else "default"]

    def _plain(self, conversation: Conversation, assistants: Sequence[int]) -> "_Plain | None":
        """Return a conversation as the template takes it; None if each text requires its own messages or marks."""
        if not assistants:
            return None
        tools, shown = conversation.tools, conversation.tools if self.abilities.tools else ()
        messages = conversation.messages[: assistants[-1] + 1]
        dicts = for_template(messages, tools, self.abilities, with_preamble=self.with_preamble)
        roles = [message.role for message in messages[:2]]
        moved = not self.abilities.system and roles[:1] == ["system"] and roles[1:] != ["user"]
        if moved or look_alikes(dicts, shown, self.tokens):
            return None
        template = self._template(tools)
        try:
            prefixes = template.prefixes(dicts, shown)
        except Exception:  # each answer tells its own fault
            prefixes = None
        answers = [place for place, message in enumerate(dicts) if message["role"] == "assistant"]
        places = dict(zip(assistants, answers, strict=True))
        return _Plain(template=template, messages=dicts, tools=shown, prefixes=prefixes, places=places)

    def _answer(self, conversation: Conversation, index: int, plain: "_Plain | None") -> Answer | DataError:
        where = f"{conversation.origin}: message {index + 1}"
        if not index:
            return unasked(where=where)
        if plain is not None and (found := plain.proven(index)) is not None:
            return found
        messages, tools = conversation.messages, conversation.tools
        try:
            if plain is not None:
                prompt = plain.text(index, add_generation_prompt=True)
                whole = plain.text(index, with_answer=True)
            else:
                prompt = self.text(messages[:index], tools, add_generation_prompt=True)
                whole = self.text(messages[: index + 1], tools, add_generation_prompt=False)
            if not whole.text.startswith(prompt.text):
                alone = partial(self.text, tools=tools, add_generation_prompt=False)
                before = alone(messages[:index]).text
                behind = behind_its_prompt(messages[:index], before, prompt, whole, alone)
                if behind is None:
                    reasons = bool(messages[index].reasoning)
                    return broken_off(before, prompt.text, whole.text, where=where, reasons=reasons)
                whole = behind
            if not whole.begins_with(prompt):
                what = "words that look like control tokens are not written alike in prompt and answer"
                raise ControlTokenError(what)
        except Exception as error:  # a template is foreign code: it may raise anything
            return refused(error, where=where)
        return Answer(text=whole, start=len(prompt.text), stop=len(whole.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain:
    """A conversation in which no words look like control tokens, in the form its template takes."""

    template: ChatTemplate
    messages: Sequence[TemplateMessage]
    tools: Sequence[Mapping[str, object]]
    prefixes: Prefixes | None
    places: Mapping[int, int]
    """Index of an answer -> how many messages the template sees before it."""

    def proven(self, index: int) -> Answer | None:
        """Return an answer that one rendering of the conversation proves."""
        prefixes, place = self.prefixes, self.places[index]
        if prefixes is None:
            return None
        start, stop = prefixes.ends.get(place), prefixes.ends.get(place + 1)
        if start is None or stop is None or not prefixes.text.text.startswith(prefixes.opening, start, stop):
            return None
        return Answer(text=prefixes.text, start=start + len(prefixes.opening), stop=stop)

    def text(self, index: int, *, with_answer: bool = False, add_generation_prompt: bool = False) -> Marked:
        """Return the text of the messages before an answer, or up to and with it.

        Raises:
            Exception: whatever the template raises.
        """
        prefixes, place = self.prefixes, self.places[index] + with_answer
        if prefixes is not None and (end := prefixes.ends.get(place)) is not None:
            return Marked(prefixes.text.text[:end] + (prefixes.opening if add_generation_prompt else ""))
        messages = self.messages[:place]
        return Marked(self.template.render(messages, self.tools, add_generation_prompt=add_generation_prompt))
