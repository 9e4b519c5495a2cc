"""The rule against transformers' own rendering and against the marks of the training templates that trl carries."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from small_models import assistant, byte_level, conversation, save_model, system, user
from tokenizers import AddedToken, Tokenizer

from tunelab.conversations.conversation import Message, ToolCall
from tunelab.errors import DataError
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load import load_renderer
from tunelab.rendering.renderer import Renderer

TRL = find_spec("trl")
pytestmark = pytest.mark.skipif(TRL is None, reason="trl is in the dev extra")
TEMPLATES = Path(str(TRL.origin)).parent / "chat_templates" if TRL else Path()
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(TEMPLATES.glob("*.jinja"))}
FAMILIES = [name for name in SOURCES if not name.endswith("_training")]

_SPECIAL = (
    r'<\|[A-Za-z0-9_"]+\|?>|<[a-z_]+\|>|<｜[^｜\s]+｜>|</?s>|<(?:start|end)_of_(?:turn|utterance)>|<[be]os>'
    r"|\[gMASK\]|<sop>|\[/?INST\]"
)
_MARKUP = r"</?(?:think|tool_call|tool_response|tools)>"

CALL = ToolCall(name="get_price", arguments={"product": "tea"}, id="call12345")
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_price",
        "description": "Price of a product",
        "parameters": {
            "type": "object",
            "properties": {"product": {"type": "string", "description": "which"}},
            "required": ["product"],
        },
    },
}
CONVERSATIONS: dict[str, list[Message]] = {
    "plain": [user("Hi there"), assistant("Hello **you**\n"), user("More?"), assistant("Bye")],
    "system": [system("Be brief."), user("Hi"), assistant("Hello"), user("More?"), assistant("Bye")],
    "tools": [
        system("Be brief."),
        user("Price of tea?"),
        assistant(None, CALL),
        Message(role="tool", content='{"price": 3}', name="get_price", tool_call_id="call12345"),
        assistant("It is 3."),
        user("Thanks"),
        assistant("Welcome"),
    ],
    "reasoning": [
        user("Hi"),
        assistant("Hello", reasoning="The user greets."),
        user("2 and 2?"),
        assistant("4", reasoning="A sum."),
    ],
}

NO_SYSTEM = {"gemma"}
CALLS_IN_WORDS = {
    *("cohere", "cohere2", "deepseek_r1_distill", "deepseekv3", "gemma", "gemma3", "idefics3", "lfm2", "llama3"),
    *("llava_next", "phi3", "phi3_5", "qwen2_5_vl", "smolvlm"),
}
# How the training template's mark on the last answer differs from the completion; docs/rendering.md says who is right.
KNOWN: dict[str, dict[str, str]] = {
    "also trains the end of the prompt": {
        "gptoss": "plain system tools reasoning",
        "muse_glimmer": "plain system tools reasoning",
        "qwen2_5": "plain system tools reasoning",
        "qwen3_5_think": "plain system tools reasoning",
        "qwen3_5_nothink": "plain system tools",
        "qwen3_6": "plain system tools reasoning",
        "qwen3_8": "plain system tools reasoning",
        **dict.fromkeys([f"nemotron_3_{size}" for size in ("5_lightning", "nano", "super", "ultra")], "reasoning"),
    },
    "also trains what stands behind the end of the turn": {
        "phi3": "plain system reasoning",
        "phi3_5": "plain system reasoning",
    },
    "ends with the opening of the next turn": {"glm4moe": "plain system tools reasoning"},
    "leaves the token that hands over to the tool, or opens the turn, to the prompt": {"diffusion_gemma": "tools"},
    "does not continue the prompt": {
        "deepseek_r1_distill": "plain system reasoning",
        "deepseekv3": "plain system reasoning",
        **dict.fromkeys(
            [f"nemotron_3_{size}" for size in ("5_lightning", "nano", "super", "ultra")], "plain system tools"
        ),
        "qwen3_5_nothink": "reasoning",
    },
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """One small tokenizer that holds the control tokens of all families."""
    source = "\n".join(SOURCES.values())
    special = {*re.findall(_SPECIAL, source), "<s>", "<|endoftext|>"}
    markup = [AddedToken(text, normalized=False) for text in sorted({*re.findall(_MARKUP, source)})]
    return byte_level(sorted(special), markup)


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_those_of_transformers_and_marks_those_of_trl(
    family: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    from transformers import PreTrainedTokenizerFast

    save_model(tmp_path, tokenizer, SOURCES[family], bos="<s>", eos="<|endoftext|>")
    renderer = load_renderer(tmp_path, RenderingConfig(), base=tmp_path)
    oracle = PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json"),
        bos_token="<s>",
        eos_token="<|endoftext|>",
        chat_template=SOURCES[family],
    )
    assert renderer.abilities.system == (family not in NO_SYSTEM)
    assert renderer.abilities.tool_calls == (family not in CALLS_IN_WORDS)
    marking = SOURCES.get(f"{family}_training", SOURCES[family])
    compared = 0
    for label, messages in CONVERSATIONS.items():
        if (label == "system" and family in NO_SYSTEM) or (label == "tools" and family in CALLS_IN_WORDS):
            continue
        differences = set()
        for difference in _compare(renderer, oracle, messages, label, marking):
            differences.add(difference)
            compared += 1
        expected = {name for name, families in KNOWN.items() if label in families.get(family, "").split()}
        if label == "tools" and family == "diffusion_gemma":
            expected.add("")
        assert differences == (expected or {""}), (label, differences)
    assert compared >= 4


def _compare(renderer: Renderer, oracle: Any, messages: list[Message], label: str, marking: str) -> Iterator[str]:
    """Yield for each answer how the mark differs from the completion; assert that the ids are the oracle's."""
    tools = [TOOL] if label == "tools" else []
    row = conversation(*messages, tools=tuple(tools))
    for turn in renderer.turns(row):
        if isinstance(turn, DataError):
            assert "where a prompt for it goes on with" in turn.what
            yield "does not continue the prompt"
            continue
        (sequence,) = renderer.sequences([(turn, row, 0)], max_length=100_000)
        assert not isinstance(sequence, DataError)
        dicts = [_as_dict(message, parts=renderer.abilities.parts) for message in messages[: turn.index + 1]]
        options = {"tools": tools or None, "return_dict": False}
        prompt = oracle.apply_chat_template(dicts[:-1], add_generation_prompt=True, **options)
        whole = oracle.apply_chat_template(dicts, **options)
        ids = [*sequence.prompt_ids, *sequence.completion_ids]
        ids = ids[:-1] if turn.lacks_end else ids
        assert list(sequence.prompt_ids) == prompt
        assert whole[: len(ids)] == ids
        assert oracle.decode(whole[len(ids) :]).strip() in ("", "<|endoftext|>")
        assert not sequence.seam
        if "generation" in marking and re.search(r"\{%-?\s*generation", marking):
            marked = oracle.apply_chat_template(
                dicts, tools=tools or None, chat_template=marking, return_dict=True, return_assistant_tokens_mask=True
            )
            mine = (oracle.decode(sequence.prompt_ids), oracle.decode(sequence.completion_ids))
            yield _difference(oracle.decode(_last_mark(marked)).rstrip(), *mine)
        else:
            yield ""


def _as_dict(message: Message, *, parts: bool) -> dict[str, Any]:
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
        for call in message.tool_calls
    ]
    return {
        "role": message.role,
        "content": [{"type": "text", "text": message.content}] if parts else message.content,
        "reasoning_content": message.reasoning,
        "tool_calls": calls or None,
        "tool_call_id": message.tool_call_id,
        "name": message.name,
    }


def _last_mark(marked: Any) -> list[int]:
    """The ids of the last marked stretch."""
    mask = "".join(map(str, marked["assistant_masks"]))
    start, end = list(re.finditer("1+", mask))[-1].span()
    ids: list[int] = marked["input_ids"][start:end]
    return ids


def _difference(theirs: str, prompt: str, completion: str) -> str:
    if theirs == completion.rstrip():
        return ""
    if theirs.endswith(completion) and (prompt + completion).endswith(theirs):
        return "also trains the end of the prompt"
    if theirs.startswith(completion) and theirs.removeprefix(completion).strip() == "<|endoftext|>":
        return "also trains what stands behind the end of the turn"
    if theirs in [completion.replace("<|endoftext|>", token) for token in ("<|user|>", "<|observation|>")]:
        return "ends with the opening of the next turn"
    if completion in (f"{theirs}<|tool_response>", f"<|turn>model\n{theirs}"):
        return "leaves the token that hands over to the tool, or opens the turn, to the prompt"
    return f"{theirs!r} for {completion!r}"
