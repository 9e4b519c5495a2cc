"""One rule for training and serving: the prompt is the template's, the completion is what the model must write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from tunelab.conversations.conversation import Conversation, Message
from tunelab.errors import DataError
from tunelab.rendering.answers import Answer, Writer
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.prompt_audit import turn_left_out
from tunelab.rendering.reasoning_audit import left_out, remarks
from tunelab.rendering.rendered import LeftOut, Remark, Rendered, TokenIds
from tunelab.rendering.template_errors import refused
from tunelab.rendering.template_messages import Abilities
from tunelab.rendering.tokens.marked_text import Marked
from tunelab.rendering.tokens.tokenizer import ControlTokenError, Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A trained assistant turn as text, before it becomes ids."""

    index: int
    text: Marked
    """Begins with prompt and completion; the turns of a conversation may share it."""
    prompt_end: int
    end: int
    """Of the completion, in characters as `prompt_end`; after the end-of-turn token if the template writes one."""
    lacks_end: bool
    """True if the template writes no end-of-turn token, so that one of `Renderer.ends` is appended."""
    calls: bool
    """Whether the answer calls tools."""
    left_out: tuple[LeftOut, ...]
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFrom:
    """What a renderer was made from, so that another process can make the same."""

    folder: Path
    """Of the model."""
    config: RenderingConfig
    base: Path
    today: date


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Renderer:
    """A tokenizer and a chat template. Make one with `load_renderer`."""

    tokens: Tokens
    writer: Writer
    bos_id: int | None
    adds_bos: bool
    """Whether plain text begins with the beginning-of-sequence token."""
    eos_id: int | None
    ends: tuple[int | None, int | None]
    """What is appended to an answer, and to one that calls tools, if the template writes no end of a turn."""
    stop_ids: tuple[int, ...]
    """Tokens that end an answer."""
    template_hash: str
    """Changes with all that can change an id: template, tokenizer, stop tokens, variables, preamble, a written day."""
    has_template: bool
    """Whether the model brings a chat template; else each message is a line."""
    made_from: MadeFrom
    notes: tuple[str, ...]
    """What a user should know of how this model's conversations are rendered."""

    @property
    def abilities(self) -> Abilities:
        """What the chat template can do."""
        return self.writer.abilities

    @property
    def vocab_size(self) -> int:
        """One more than the largest token id."""
        return self.tokens.vocab_size

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """The texts of the tokens that end an answer."""
        return tuple(text for id_ in self.stop_ids if (text := self.tokens.tokenizer.id_to_token(id_)))

    def encode(self, text: str) -> TokenIds:
        """Return the ids of plain text: nothing is added, and nothing in it is a control token."""
        return self.tokens.ids(self.tokens.plain(text))

    def decode(self, ids: Sequence[int] | TokenIds, *, skip_special_tokens: bool = False) -> str:
        """Return the text of ids."""
        return self.tokens.decode(ids, skip_special_tokens=skip_special_tokens)

    def prompt_ids(self, messages: Sequence[Message], tools: Sequence[Mapping[str, object]] = ()) -> TokenIds:
        """Return what serving sends: the history and the opening of the assistant's turn.

        Raises:
            DataError: the template refuses these messages, in its own words.
        """
        try:
            return self.tokens.ids(self.writer.text(messages, tools, add_generation_prompt=True))
        except Exception as error:
            raise refused(error, where="prompt") from error

    def turns(self, conversation: Conversation) -> Iterator[Turn | DataError]:
        """Yield each trained turn as text, or the fault that keeps it from being trained."""
        for index, answer in self.writer.answers(conversation):
            try:
                yield answer if isinstance(answer, DataError) else self._turn(conversation, index, answer)
            except DataError as fault:
                yield fault

    def render(self, conversation: Conversation, *, index: int, max_length: int) -> list[Rendered]:
        """Return the sequences of one conversation, each cut to `max_length` tokens.

        An answer that is truncated to nothing comes back with an empty completion.

        Args:
            conversation: messages, or plain text, which becomes consecutive sequences of at most `max_length`.
            index: the conversation's place in its data set.
            max_length: in tokens.

        Raises:
            DataError: the first fault of a turn.
        """
        if conversation.text is not None:
            return self.text_sequences(conversation, index=index, max_length=max_length)
        sequences = []
        for turn in self.turns(conversation):
            if isinstance(turn, DataError):
                raise turn
            (sequence,) = self.sequences([(turn, conversation, index)], max_length=max_length)
            if isinstance(sequence, DataError):
                raise sequence
            sequences.append(sequence)
        return sequences

    def sequences(
        self, turns: Sequence[tuple[Turn, Conversation, int]], *, max_length: int
    ) -> Iterator[Rendered | DataError]:
        """Yield turns as ids, or the fault of one; what exceeds `max_length` is cut from the end.

        Args:
            turns: each with its conversation and that one's place in the data set. Those of one text are adjacent.
            max_length: in tokens.
        """
        texts = [list(some) for _, some in groupby(turns, key=lambda item: id(item[0].text))]
        stops = [
            (some[0][0].text, [stop for turn, _, _ in some for stop in (turn.prompt_end, turn.end)]) for some in texts
        ]
        for some, ids in zip(texts, self.tokens.beginnings(stops), strict=True):
            for place, (turn, conversation, index) in enumerate(some):
                if isinstance(ids, ControlTokenError):
                    yield refused(ids, where=f"{conversation.origin}: message {turn.index + 1}")
                    continue
                yield self._sequence(turn, conversation, index, max_length, *ids[2 * place : 2 * place + 2])

    def _sequence(
        self,
        turn: Turn,
        conversation: Conversation,
        index: int,
        max_length: int,
        prompt_ids: TokenIds,
        whole_ids: TokenIds,
    ) -> Rendered:
        # Beginnings of one text mostly are views of one array: then the prompt begins the whole without comparing.
        one_array = prompt_ids.base is whole_ids.base is not None
        seam = not one_array and not np.array_equal(whole_ids[: len(prompt_ids)], prompt_ids)
        completion_ids = whole_ids[len(prompt_ids) :]
        if seam:
            completion_ids = self.tokens.ids_after(turn.text.part(turn.prompt_end, turn.end))
        if turn.lacks_end and (end := self.ends[turn.calls]) is not None:
            completion_ids = np.append(completion_ids, np.int32(end))
        room = max(max_length - len(prompt_ids), 0)
        cut_completion = max(len(completion_ids) - room, 0)
        return Rendered(
            prompt_ids=prompt_ids[:max_length],
            completion_ids=completion_ids[:room],
            origin=conversation.origin,
            conversation=index,
            turn=turn.index,
            group=conversation.session_id or str(conversation.origin),
            cut_prompt=max(len(prompt_ids) - max_length, 0),
            cut_completion=cut_completion,
            seam=seam,
            ends=(not turn.lacks_end or self.ends[turn.calls] is not None) and not cut_completion,
        )

    def text_sequences(self, conversation: Conversation, *, index: int, max_length: int) -> list[Rendered]:
        """Return plain text as consecutive sequences, nothing lost, an end-of-text token after the last."""
        parts: list[Any] = [self.encode(conversation.text or "")]
        if self.adds_bos and self.bos_id is not None:
            parts.insert(0, [self.bos_id])
        if self.eos_id is not None:
            parts.append([self.eos_id])
        ids = np.concatenate(parts).astype(np.int32)
        return [
            Rendered(
                prompt_ids=ids[:0],
                completion_ids=ids[start : start + max_length],
                origin=conversation.origin,
                conversation=index,
                turn=-1,
                group=conversation.session_id or str(conversation.origin),
                ends=self.eos_id is not None and start + max_length >= len(ids),
            )
            for start in range(0, len(ids), max_length)
        ]

    def _turn(self, conversation: Conversation, index: int, answer: Answer) -> Turn:
        text, start, stop = answer.text, answer.start, answer.stop
        written = text.text[start:stop]
        message = conversation.messages[index]
        if self.abilities.tool_calls and any(call.name not in written for call in message.tool_calls):
            what = "the chat template does not write all tool calls of this answer"
            remedy = "Use a data.chat_template that writes them, or one call a message."
            raise DataError(what, where=f"{conversation.origin}: message {index + 1}", remedy=remedy)
        end = self._end_of_turn(text, start, stop)
        return Turn(
            index=index,
            text=text,
            prompt_end=start,
            end=start + len(written.removesuffix(self.abilities.closing)) if end is None else end,
            lacks_end=end is None,
            calls=bool(message.tool_calls),
            left_out=tuple(left_out(conversation, index, written)),
            remarks=(
                *remarks(conversation, index, text.text, start, stop),
                *turn_left_out(conversation, index, text.text, start),
            ),
        )

    def _end_of_turn(self, text: Marked, start: int, stop: int) -> int | None:
        """Return where the end-of-turn token of the answer from `start` to `stop` ends; None if there is none.

        It is looked for in the white space and control tokens with which the answer closes: the first of them that
        stops a generation, else the last if it is special.
        """
        closing: list[tuple[int, int]] = []
        position = stop
        for match in reversed([*self.tokens.control.finditer(text.text, start, stop)]):
            literal = any(a <= match.start() < b for a, b in text.literals)
            if literal or text.text[match.end() : position].strip():
                break
            closing.insert(0, (match.end(), self.tokens.id_of[match.group()]))
            position = match.start()
        stops = [end for end, token in closing if token in self.stop_ids]
        specials = [end for end, token in closing if self.tokens.is_special(token)]
        return next(iter(stops[:1] or specials[-1:]), None)
