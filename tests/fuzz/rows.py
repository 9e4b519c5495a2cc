"""Rows of every shape with values of every kind where another was expected, made by hypothesis."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunelab.conversations import (
    Conversation,
    ConversationConfig,
    FormatName,
    Message,
    read_conversations,
    split_conversations,
)
from tunelab.conversations.tools import Tool
from tunelab.errors import DataError, TunelabError
from tunelab.rendering.renderer import Renderer
from tunelab.sources import Origin, Row

_ODD = (
    *(
        None,
        True,
        False,
        0,
        -1,
        10**300,
        1.5,
        float("nan"),
        "",
        " ",
        "\0",
        "[",
        "{",
        "[]",
        "{}",
        '[{"a": 1}]',
        '{"a": [}',
    ),
    *(
        "user",
        "assistant",
        "system",
        "tool",
        "human",
        "gpt",
        "function_call",
        "assistent",
        "<|im_end|>",
        "<s>",
        "é😀\u2028",
    ),
    *("text", "thinking", "tool_use", "tool_result", "{x}", "{", "{{", b"\xff"),
)
_leaf = st.sampled_from(_ODD) | st.text(max_size=8)
_FIELDS = (
    *("role", "content", "from", "value", "name", "tool_calls", "function", "arguments", "id", "tool_call_id", "type"),
    *("text", "thinking", "reasoning", "input", "weight", "train", "function_call", "parameters", "tool_use_id"),
    *(
        "loss_mask",
        "mask",
        "masked",
        "train_detail",
        "begin_offset",
        "end_offset",
        "finish_reason",
        "choices",
        "message",
    ),
    *("candidates", "output", "parts", "summary", "call_id", "status"),
)
_any = st.recursive(
    _leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=4),
    max_leaves=12,
)
_call = st.fixed_dictionaries({}, optional={"id": _any, "function": _any, "name": _any, "arguments": _any})
_message = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool"]) | _any},
    optional={"content": _any, "tool_calls": st.lists(_call, max_size=2) | _any, "reasoning": _any, "name": _any},
)
_turn = st.fixed_dictionaries({"from": st.sampled_from(["human", "gpt", "function_call"]) | _any, "value": _any})
_messages = st.lists(_message, max_size=4) | _any
_shapes: tuple[dict[str, st.SearchStrategy[object]], ...] = (
    {"messages": _messages},
    {"conversations": st.lists(_turn, max_size=4) | _any},
    {"request": st.fixed_dictionaries({"messages": _messages}) | _any, "response": _message | _any},
    {"prompt": _messages, "completion": _messages},
    {"instruction": _any, "output": _any},
    {"query": _any, "response": _any},
    {"input": _any, "output": _any},
    {"text": _any},
    {"x": _any},
)
_NEXT_TO = (
    *("tools", "system", "history", "input", "functions", "session_id", "chosen", "rejected", "response", "context"),
    *("instructions", "weight", "loss_mask", "mask", "train_detail", "finish_reason", "label", "score", "images", "id"),
)
_beside = dict.fromkeys(_NEXT_TO, _any)
_row = st.one_of(
    [
        st.fixed_dictionaries(shape, optional={name: each for name, each in _beside.items() if name not in shape})
        for shape in _shapes
    ]
)
_config = st.builds(
    ConversationConfig,
    format=st.sampled_from(get_args(FormatName)),
    system_prompt=st.none() | st.text(max_size=3),
    prompt_template=st.none() | st.sampled_from(["{x}", "{", "{}", "{x.y}", "{x!r:{text}}", "a"]),
    completion_template=st.none() | st.sampled_from(["{x}", "b"]),
    inject_tool_catalog=st.booleans(),
    field_map=st.sampled_from([{}, {"prompt": "x"}, {"messages": "input", "role": "from"}, {"request": "request"}]),
    role_map=st.sampled_from([{}, {"a": "user", "user": "function_call"}]),
)


def rows_test(renderer: Renderer, *, max_examples: int = 100) -> Callable[[], None]:
    """Return a test that reads rows of any shape as conversations, splits and renders them."""

    @settings(max_examples=max_examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(_row, min_size=1, max_size=3), _config)
    def test(values: list[dict[str, object]], config: ConversationConfig) -> None:
        bad: list[DataError] = []
        rows = [Row(value=value, origin=Origin(path="t", line=line)) for line, value in enumerate(values, start=1)]
        try:
            found = read_conversations(rows, config, base=Path(), on_bad=bad.append)
        except TunelabError:
            return
        split_conversations(found.items, fraction=0.5, seed=1)
        for index, item in enumerate(found.items):
            try:
                renderer.render(item, index=index, max_length=64)
            except DataError as error:
                bad.append(error)
        assert all(str(error).startswith("t:") for error in bad)

    return test


def as_chat_row(tools: Sequence[Tool]) -> Conversation:
    """Return a small conversation with `tools` to call."""
    messages = (Message(role="user", content="a"), Message(role="assistant", content="b"))
    return Conversation(messages=messages, tools=tuple(tools), origin=Origin(path="t", line=1))
