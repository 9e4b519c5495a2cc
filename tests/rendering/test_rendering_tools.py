"""Tools where the template knows them, and in words where it does not."""

import json
from pathlib import Path

import pytest
from small_models import CHATML, assistant, byte_level, conversation, renderer_of, system, user

from tunelab.conversations.conversation import Message, ToolCall
from tunelab.errors import DataError
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.renderer import Renderer

TOOL = {"type": "function", "function": {"name": "get_price", "parameters": {"type": "object", "properties": {}}}}
CALL = ToolCall(name="get_price", arguments={"product": "chá", "n": None}, id="call_1")
RESULT = Message(role="tool", content='{"price": 3}', tool_call_id="call_1")
WITH_TOOLS = (
    "{% if tools %}tools:{% for tool in tools %}{{ tool.function | tojson }}{% endfor %}\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for call in m.tool_calls %}"
    "<call>{{ call.function.name }} {{ ARGUMENTS }}</call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ROW = conversation(system("Help."), user("price?"), assistant(None, CALL), RESULT, assistant("It is 3."), tools=(TOOL,))


def texts(renderer: Renderer) -> list[tuple[str, str]]:
    """Prompt and completion of each turn."""
    sequences = renderer.render(ROW, index=0, max_length=10_000)
    return [(renderer.decode(s.prompt_ids), renderer.decode(s.completion_ids)) for s in sequences]


@pytest.mark.parametrize("arguments", ["call.function.arguments | tojson", "'' + call.function.arguments"])
def test_a_template_that_knows_tools_is_given_them_as_it_wants_them(tmp_path: Path, arguments: str) -> None:
    renderer = renderer_of(tmp_path, byte_level(), WITH_TOOLS.replace("ARGUMENTS", arguments))
    assert renderer.abilities.tools
    (first, call), (second, answer) = texts(renderer)
    assert first.startswith('tools:{"name": "get_price"')
    assert call == '<call>get_price {"product": "chá", "n": null}</call><|im_end|>'
    assert second.endswith('{"price": 3}<|im_end|>\n<|im_start|>assistant\n')
    assert answer == "It is 3.<|im_end|>"


def test_a_template_without_tools_gets_a_preamble_and_calls_in_words(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path)
    assert not renderer.abilities.tools
    (first, call), (second, _) = texts(renderer)
    assert first.startswith("<|im_start|>system\nHelp.\n\nYou can use the tools listed below.")
    assert json.dumps(TOOL) in first
    written = json.loads(call.removesuffix("<|im_end|>"))
    assert written == {"tool_calls": [{"name": "get_price", "arguments": {"product": "chá", "n": None}}]}
    assert 'user\n{"tool_results": [{"name": "get_price", "content": "{\\"price\\": 3}"}]}<|im_end|>' in second
    assert sum("tool" in note for note in renderer.notes) == 2


def test_the_preamble_can_be_left_out(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path, config=RenderingConfig(inject_tool_preamble=False))
    (first, call), _ = texts(renderer)
    assert "tools listed" not in first
    assert "get_price" in call


def test_without_tools_there_is_no_preamble(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path)
    assert "tools" not in renderer.decode(renderer.prompt_ids([user("a")]))


def test_results_of_several_calls_come_in_one_message(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path)
    other = Message(role="tool", content="ok", name="other")
    text = renderer.decode(renderer.prompt_ids([user("a"), assistant("I look.", CALL), RESULT, other], [TOOL]))
    assert text.count('{"tool_results"') == 2  # one in the preamble
    assert 'I look.\n{"tool_calls"' in text
    assert '{"name": "other", "content": "ok"}]}' in text


def test_a_call_that_the_template_does_not_write_is_a_fault(tmp_path: Path) -> None:
    one_call = WITH_TOOLS.replace("m.tool_calls", "(m.tool_calls or [])[:1]").replace(
        "ARGUMENTS", "call.function.arguments | tojson"
    )
    renderer = renderer_of(tmp_path, byte_level(), one_call)
    row = conversation(user("a"), assistant(None, CALL, ToolCall(name="other", arguments={})), tools=(TOOL,), line=5)
    with pytest.raises(DataError, match=r"train\.jsonl:5: message 2: .*does not write all tool calls"):
        renderer.render(row, index=0, max_length=1000)


def test_a_catalogue_that_is_shown_without_knowing_calls_still_trains_calls_in_words(tmp_path: Path) -> None:
    template = "{% if tools %}{{ tools | tojson }}\n{% endif %}" + CHATML
    (first, call), _ = texts(renderer_of(tmp_path, byte_level(), template))
    assert first.startswith('[{"type": "function"')
    assert "tools listed" not in first
    assert call.startswith('{"tool_calls"')


@pytest.mark.parametrize(
    ("of_result", "of_call", "writes_ids"),
    [
        ("", "", False),
        ("[{{ m.tool_call_id }}]", "", True),
        ("[{{ m.tool_call_id }}]", "{{ call.id }}", True),
        ("", "{{ call.id }}", False),
    ],
)
def test_results_are_in_the_order_of_the_calls_where_a_template_writes_no_ids_next_to_them(
    tmp_path: Path, of_result: str, of_call: str, writes_ids: bool
) -> None:
    template = WITH_TOOLS.replace("ARGUMENTS }}", "call.function.arguments | tojson }}" + of_call)
    template = template.replace("{{ m.content }}", "{{ m.content }}{% if m.tool_call_id %}" + of_result + "{% endif %}")
    renderer = renderer_of(tmp_path, byte_level(), template)
    assert renderer.abilities.call_ids == writes_ids
    other = ToolCall(name="get_stock", arguments={}, id="call_2")
    results = [Message(role="tool", content="9 left", tool_call_id="call_2"), RESULT]
    row = conversation(user("both?"), assistant(None, CALL, other), *results, assistant("3, and 9."), tools=(TOOL,))
    *_, last = renderer.render(row, index=0, max_length=10_000)
    trained, served = renderer.decode(last.prompt_ids), renderer.decode(renderer.prompt_ids(row.messages[:-1], (TOOL,)))
    assert trained == served
    assert (trained.index("9 left") < trained.index('"price"')) == writes_ids
