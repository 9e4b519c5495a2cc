"""What a template adds to a prompt, and what it leaves out of one."""

from pathlib import Path

import pytest
from small_models import CHATML, assistant, byte_level, conversation, renderer_of, save_model, system, user
from trl_families import NAMES, TRL, renderer_of_family

from tunelab.conversations.conversation import Conversation, Message, ToolCall
from tunelab.dataset.config import DataConfig
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.renderer import Renderer, Turn

OWN = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are Lampbot, made by Lamps.<|im_end|>\n{% endif %}"
    + CHATML
)
ALWAYS = (
    "<|im_start|>system\nToday is a day.\n{{ messages[0].content if messages[0].role == 'system' }}<|im_end|>\n"
    + (CHATML.replace("for message in messages", "for message in messages if message.role != 'system'"))
)
FIRST_SYSTEM = CHATML.replace(
    "for message in messages", "for message in messages if message.role != 'system' or message == messages[0]"
)
LAST_RESULT = (
    "{% for message in messages %}{% if message.role != 'tool' or loop.last %}<|im_start|>{{ message.role }}\n"
    "{{ message.content or '' }}{% for call in message.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}"
    "<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LAST_TURN = CHATML.replace("for message in messages", "for message in messages[-2:]")
CALL = Message(role="assistant", tool_calls=(ToolCall(name="look", arguments={}),))
RESULT = Message(role="tool", content="found 7", name="look")
WORDS = "You are Lampbot, made by Lamps."


def abilities(folder: Path, template: str) -> tuple[str, bool, bool]:
    found = renderer_of(folder, template=template).abilities
    return found.own_system, found.keeps_own_system, found.own_system_silenced


def with_empty_prompt(folder: Path, template: str) -> Renderer:
    save_model(folder, byte_level(), template)
    return load_renderer(folder, DataConfig(system_prompt=""), base=folder)


def left_out(renderer: Renderer, item: Conversation) -> list[int]:
    turns = [turn for turn in renderer.turns(item) if isinstance(turn, Turn)]
    assert turns
    return [each.turn for turn in turns for each in turn.remarks if each.kind == "turn left out"]


def test_the_system_text_that_a_template_writes_by_itself_is_found(tmp_path: Path) -> None:
    assert abilities(tmp_path / "none", CHATML) == ("", False, False)
    assert abilities(tmp_path / "own", OWN) == (WORDS, False, True)
    assert abilities(tmp_path / "always", ALWAYS) == ("Today is a day.", True, False)


@pytest.mark.skipif(TRL is None, reason="needs trl")
def test_the_families_that_write_a_system_text_by_themselves_are_known(tmp_path: Path) -> None:
    found = {name: renderer_of_family(name, tmp_path / name).abilities for name in NAMES}
    own = {name for name, each in found.items() if each.own_system}
    assert own == {"cohere2", "gptoss", "llama3_1", "llama3_2", "muse_glimmer", "qwen2_5", "qwen2_5_vl", "qwen3_8"}
    assert {name for name in own if found[name].own_system_silenced} == {"muse_glimmer", "qwen2_5", "qwen2_5_vl"}
    assert found["qwen2_5"].own_system == "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
    assert found["llama3_2"].own_system.startswith("Cutting Knowledge Date: December 2023\nToday Date: ")


def test_an_empty_system_prompt_takes_the_template_s_own_away_in_training_and_in_serving(tmp_path: Path) -> None:
    plain, silenced = renderer_of(tmp_path, template=OWN), with_empty_prompt(tmp_path, OWN)
    item = conversation(user("hi"), assistant("hello"), user("so"), assistant("well"))
    assert [WORDS in _seen(plain, item, turn) for turn in (0, 1)] == [True, True]
    assert [WORDS in _seen(silenced, item, turn) for turn in (0, 1)] == [False, False]
    assert WORDS not in silenced.decode(silenced.prompt_ids([user("hi")]))
    assert plain.template_hash != silenced.template_hash
    assert silenced.abilities.own_system == ""
    assert any("data.system_prompt is empty" in note for note in silenced.notes)
    trained = [each.completion_ids.tolist() for each in silenced.render(item, index=0, max_length=500)]
    assert trained == [each.completion_ids.tolist() for each in plain.render(item, index=0, max_length=500)]


@pytest.mark.parametrize("template", [CHATML, ALWAYS])
def test_an_empty_system_prompt_changes_no_byte_of_a_template_that_it_cannot_silence(
    tmp_path: Path, template: str
) -> None:
    plain, empty = renderer_of(tmp_path, template=template), with_empty_prompt(tmp_path, template)
    assert plain.prompt_ids([user("hi")]).tolist() == empty.prompt_ids([user("hi")]).tolist()
    assert plain.template_hash == empty.template_hash


@pytest.mark.parametrize(
    ("template", "messages", "index"),
    [
        (FIRST_SYSTEM, [user("one"), assistant("two"), system("late"), user("three"), assistant("four")], 2),
        (LAST_RESULT, [user("one"), CALL, RESULT, assistant("two"), user("three"), assistant("four")], 2),
        (LAST_TURN, [user("one"), assistant("two"), user("three"), assistant("four")], 0),
    ],
)
def test_a_message_that_a_template_leaves_out_of_the_prompt_is_found(
    tmp_path: Path, template: str, messages: list[Message], index: int
) -> None:
    item = conversation(*messages)
    assert left_out(renderer_of(tmp_path / "whole"), item) == []
    assert left_out(renderer_of(tmp_path / "lacking", template=template), item)[:1] == [index]


def test_what_templates_do_to_the_text_of_a_message_is_not_taken_for_a_lost_one(tmp_path: Path) -> None:
    trims = CHATML.replace("{{ message.content }}", "{{ message.content | trim | tojson }}")
    item = conversation(
        user(' a "quoted"\nline é '), assistant("<think>\nhm\n</think>\n\nfine"), user(""), assistant("x")
    )
    assert left_out(renderer_of(tmp_path, template=trims), item) == []


def _seen(renderer: Renderer, item: Conversation, turn: int) -> str:
    return renderer.decode(renderer.render(item, index=0, max_length=500)[turn].prompt_ids)
