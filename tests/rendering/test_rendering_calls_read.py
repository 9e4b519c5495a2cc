"""The calls that chat templates write are read again as they were, by what judges the calls of answers."""

import pytest
from trl_families import TRL, renderer_of_family

from tunelab.conversations import Conversation
from tunelab.conversations.conversation import Message, ToolCall
from tunelab.evaluation.figures.tool_calls import calls_in, same_calls
from tunelab.evaluation.rows.evaluated_row import ExpectedCall
from tunelab.sources import Origin

pytestmark = pytest.mark.skipif(TRL is None, reason="trl is not installed")
ARGUMENTS = {"id": "0123", "limit": 3, "tags": ["a", "b"], "deep": {"x": None, "y": True}, "note": "is 3 > 2, or {?"}
TOOL = {"type": "function", "function": {"name": "find_user", "description": "", "parameters": {"type": "object"}}}
FAMILIES = [
    "cohere2",
    "glm4moe",
    "gptoss",
    "lfm2_2_5",
    "lfm2_v2",
    "llama3_1",
    "muse_glimmer",
    "phi3",
    "qwen2_5",
    "qwen3_5_think",
    "qwen3_vl",
]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_call_is_read_as_its_template_writes_it(family, tmp_path):
    renderer = renderer_of_family(family, tmp_path)
    for arguments in (ARGUMENTS, {}, {"id": "123"}):
        call = ToolCall(name="find_user", arguments=arguments, id="call00001")
        messages = Message(role="user", content="Who?"), Message(role="assistant", content=None, tool_calls=(call,))
        origin = Origin(path="rows.jsonl", line=1)
        conversation = Conversation(messages=messages, tools=(TOOL,), origin=origin, train="last")
        (sequence,) = renderer.render(conversation, index=0, max_length=100_000)
        text = renderer.decode(sequence.completion_ids.tolist(), skip_special_tokens=True)
        assert same_calls(calls_in(text), (ExpectedCall(name="find_user", arguments=arguments),)), text
