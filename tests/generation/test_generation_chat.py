from collections.abc import Sequence

import numpy as np
import pytest

from tunelab.conversations import Message
from tunelab.errors import ModelError
from tunelab.flows.chat import Chat
from tunelab.generation.completion import Sampling
from tunelab.generation.responder import Responder


class Letters:
    """A renderer whose tokens are letters; its template is `role:content` lines."""

    stop_ids = ()

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def prompt_ids(self, messages: Sequence[Message], tools: Sequence[object] = ()) -> np.ndarray:
        text = "".join(f"{message.role[0]}:{message.content}\n" for message in messages) + "a:"
        self.prompts.append(text)
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) % 58 + 3

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        return "".join(chr(ord("A") + token) for token in ids)


@pytest.fixture
def talk(network, virtual):
    def make(**changes: object) -> Chat:
        settings: dict[str, object] = {
            "network": network,
            "adapter": virtual,
            "tuned": True,
            "renderer": Letters(),
            "system_prompt": "be kind",
            "tools": (),
            "sampling": Sampling(max_new_tokens=8),
            **changes,
        }
        own = {name: settings.pop(name) for name in ("system_prompt", "tools")}
        return Chat(responder=Responder(**settings), **own)

    return make


def test_a_reply_is_given_everything_that_was_said(talk):
    renderer = Letters()
    chat = talk(renderer=renderer)
    first = "".join(chat.reply("hi"))
    second = "".join(chat.reply("and?"))
    assert first
    assert second
    assert renderer.prompts == ["s:be kind\nu:hi\na:", f"s:be kind\nu:hi\na:{first}\nu:and?\na:"]
    assert [message.role for message in chat.messages] == ["system", "user", "assistant", "user", "assistant"]


def test_reset_forgets_all_but_the_system_prompt(talk):
    chat = talk()
    first = "".join(chat.reply("hi"))
    chat.reset()
    assert [message.content for message in chat.messages] == ["be kind"]
    assert "".join(chat.reply("hi")) == first


def test_without_a_system_prompt_none_is_made_up(talk):
    renderer = Letters()
    list(talk(renderer=renderer, system_prompt=None).reply("hi"))
    assert renderer.prompts == ["u:hi\na:"]


def test_the_base_model_answers_without_the_adapter(talk, virtual):
    tuned = "".join(talk().reply("hi"))
    base_chat = talk(tuned=False)
    base = "".join(base_chat.reply("hi"))
    assert base == "".join(talk(adapter=None).reply("hi"))
    assert base != tuned
    assert len(virtual.vectors) == 40  # switched on again


def test_a_reply_that_is_broken_off_stays_in_the_conversation(talk):
    chat = talk()
    reply = chat.reply("hi")
    said = next(reply) + next(reply)
    reply.close()
    assert chat.messages[-1] == Message(role="assistant", content=said)


def test_a_conversation_without_room_is_refused_and_not_kept(talk):
    chat = talk()
    with pytest.raises(ModelError, match="leaves no room"):
        list(chat.reply("long " * 40))
    assert [message.role for message in chat.messages] == ["system"]
    assert "".join(chat.reply("hi"))


def test_a_reply_without_text_adds_nothing_to_the_conversation(talk):
    renderer = Letters()
    renderer.stop_ids = tuple(range(61))
    chat = talk(renderer=renderer)
    assert list(chat.reply("hi")) == []
    assert [message.role for message in chat.messages] == ["system"]


def test_a_sampled_chat_can_be_repeated_and_its_turns_draw_anew(talk):
    def chatted(seed: int) -> list[str]:
        chat = talk(sampling=Sampling(max_new_tokens=12, temperature=1.5, seed=seed), system_prompt=None)
        return ["".join(chat.reply("hi")) for _ in range(3)]

    assert chatted(1) == chatted(1)
    assert chatted(1) != chatted(2)
