"""One rule: the prompt is what serving sends, the completion is what the model must write."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import (
    CHATML,
    assistant,
    byte_level,
    conversation,
    renderer_of,
    sentence_piece,
    system,
    user,
)

from tunelab.conversations.conversation import Message, ToolCall
from tunelab.errors import DataError
from tunelab.rendering.bulk.render_all import render_all
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.renderer import Renderer

INST = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
NEEDS_A_QUESTION = (
    "{% if not messages | selectattr('role', 'equalto', 'user') | list %}"
    "{{ raise_exception('No user query found in messages.') }}{% endif %}" + CHATML
)
THINKS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and m.reasoning_content and loop.last %}"
    "<think>\n{{ m.reasoning_content }}\n</think>\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{{ open }}{% endif %}"
)

WORDS = st.text(st.sampled_from("ab é\n\t.,'\"{}<|>🙂ção"), max_size=12)


@pytest.fixture(scope="module")
def renderers(tmp_path_factory: pytest.TempPathFactory) -> list[Renderer]:
    """Tokenizers of both kinds with templates of both kinds."""
    folder = tmp_path_factory.mktemp("models")
    return [
        renderer_of(folder / "chatml", byte_level(), CHATML),
        *(
            renderer_of(folder / scheme, sentence_piece(scheme=scheme), INST, bos="<s>", eos="</s>")
            for scheme in ("first", "always", "prepend", "never")
        ),
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=3))
def test_prompt_and_completion_decode_to_the_template_text(
    renderers: list[Renderer], turns: list[tuple[str, str]]
) -> None:
    messages = [message for question, answer in turns for message in (user(question), assistant(answer))]
    for renderer in renderers:
        sequences = renderer.render(conversation(*messages), index=0, max_length=10_000)
        for number, sequence in enumerate(sequences, start=1):
            (turn,) = [t for t in renderer.turns(conversation(*messages)) if t.index == sequence.turn]  # type: ignore[union-attr]
            whole = renderer.decode([*sequence.prompt_ids, *sequence.completion_ids])
            assert whole.replace(" ", "") == turn.text.text[: turn.end].replace(" ", "")  # type: ignore[union-attr]
            assert sequence.ends
            assert sequence.turn == 2 * number - 1


def test_five_answers_are_five_sequences_and_last_is_one(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path)
    messages = [message for n in range(5) for message in (user(f"question {n}"), assistant(f"answer {n}"))]
    every = renderer.render(conversation(*messages), index=0, max_length=1000)
    last = renderer.render(conversation(*messages, train="last"), index=0, max_length=1000)
    assert [renderer.decode(s.completion_ids) for s in every] == [f"answer {n}<|im_end|>" for n in range(5)]
    assert len(last) == 1
    assert np.array_equal(last[0].prompt_ids, every[-1].prompt_ids)


def test_pain_08_the_trained_prompt_is_what_serving_sends(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path)
    messages = [system("Be brief."), user("one"), assistant("two"), user("three"), assistant("four")]
    for sequence in renderer.render(conversation(*messages), index=0, max_length=1000):
        assert np.array_equal(sequence.prompt_ids, renderer.prompt_ids(messages[: sequence.turn]))


def test_pain_03_the_end_of_turn_is_trained_and_the_newline_behind_it_is_not(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path, eos="<|endoftext|>")
    (sequence,) = renderer.render(conversation(user("a"), assistant("b\n")), index=0, max_length=1000)
    assert renderer.decode(sequence.completion_ids) == "b\n<|im_end|>"
    assert sequence.ends
    assert sequence.completion_ids[-1] in renderer.stop_ids


def test_pain_03_a_template_that_ends_no_answer_gets_the_end_of_text_token(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    renderer = renderer_of(tmp_path, byte_level(), template, eos="<|endoftext|>")
    (sequence,) = renderer.render(conversation(user("a"), assistant("b \n")), index=0, max_length=1000)
    assert renderer.decode(sequence.completion_ids) == " b \n<|endoftext|>"
    assert any("does not end an answer" in note for note in renderer.notes)


def test_pain_03_a_token_behind_the_end_of_turn_is_not_trained(tmp_path: Path) -> None:
    template = CHATML.replace("{% if add", "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}{% if add")
    renderer = renderer_of(tmp_path, byte_level(), template, eos="<|endoftext|>")
    (sequence,) = renderer.render(conversation(user("a"), assistant("b")), index=0, max_length=1000)
    assert renderer.decode(sequence.completion_ids) == "b<|im_end|>"


def test_pain_04_05_06_the_answer_alone_is_trained_with_a_template_that_marks_nothing(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path)
    (sequence,) = renderer.render(
        conversation(system("s"), user("q"), assistant("the answer")), index=0, max_length=999
    )
    assert renderer.decode(sequence.completion_ids) == "the answer<|im_end|>"
    assert renderer.decode(sequence.prompt_ids).endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("template", [INST, "{{ bos_token }}" + INST])
def test_pain_09_the_renderer_adds_no_second_bos(tmp_path: Path, template: str) -> None:
    renderer = renderer_of(tmp_path, sentence_piece(), template, bos="<s>", eos="</s>", add_bos_token=True)
    ids = renderer.prompt_ids([user("hello")])
    assert list(ids).count(renderer.bos_id) == template.count("bos_token")
    (text,) = renderer.text_sequences(conversation(text="hello"), index=0, max_length=1000)
    assert list(text.completion_ids).count(renderer.bos_id) == 1


def test_pain_10_reasoning_is_trained_in_its_own_turn_and_gone_from_the_history(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path, byte_level(added=["<think>", "</think>"]), THINKS)
    messages = [user("a"), assistant("b", reasoning="why"), user("c"), assistant("d", reasoning="because")]
    first, second = renderer.render(conversation(*messages), index=0, max_length=1000)
    assert renderer.decode(first.completion_ids) == "<think>\nwhy\n</think>\nb<|im_end|>"
    assert renderer.decode(second.completion_ids) == "<think>\nbecause\n</think>\nd<|im_end|>"
    assert "why" not in renderer.decode(second.prompt_ids)


def test_pain_10_reasoning_that_the_template_does_not_write_is_counted(tmp_path: Path) -> None:
    rendered = render_all(
        [conversation(user("a"), assistant("b", reasoning="why"), line=7)], renderer_of(tmp_path), max_length=1000
    )
    assert [(str(item.origin), item.turn, item.part) for item in rendered.left_out] == [
        ("train.jsonl:7", 1, "reasoning")
    ]


def test_pain_11_a_template_that_wants_a_question_costs_one_turn_and_says_so(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path, byte_level(), NEEDS_A_QUESTION)
    faults: list[DataError] = []
    greeting = conversation(system("s"), assistant("Welcome!"), user("a"), assistant("b"), line=14)
    rendered = render_all([greeting], renderer, max_length=1000, on_bad=faults.append)
    assert [sequence.turn for sequence in rendered.sequences] == [3]
    (fault,) = faults
    assert str(fault).startswith("train.jsonl:14: message 2: ")
    assert '"No user query found in messages."' in str(fault)
    with pytest.raises(DataError, match="No user query found"):
        render_all([greeting], renderer, max_length=1000)


def test_an_answer_that_does_not_continue_its_prompt_is_never_trained_in_silence(tmp_path: Path) -> None:
    config = RenderingConfig(chat_template_kwargs={"open": "<think>\n"})
    renderer = renderer_of(tmp_path, byte_level(added=["<think>", "</think>"]), THINKS, config=config)
    rows = [conversation(user("a"), assistant("b"), line=3), conversation(user("a"), assistant("b", reasoning="why"))]
    faults: list[DataError] = []
    rendered = render_all(rows, renderer, max_length=1000, on_bad=faults.append)
    assert [renderer.decode(s.completion_ids) for s in rendered.sequences] == ["why\n</think>\nb<|im_end|>"]
    (fault,) = faults
    assert fault.where == "train.jsonl:3: message 2"
    assert "<think>" in fault.what
    assert "chat_template_kwargs" in fault.remedy


def test_nothing_is_trained_that_no_prompt_asks_for(tmp_path: Path) -> None:
    faults: list[DataError] = []
    greeting = conversation(assistant("Welcome!"), user("a"), assistant("b"), line=5)
    rendered = render_all([greeting], renderer_of(tmp_path), max_length=1000, on_bad=faults.append)
    assert [sequence.turn for sequence in rendered.sequences] == [2]
    assert str(faults[0]).startswith("train.jsonl:5: message 1: there is nothing before this answer")


FORGETS = (  # as gpt-oss: what was thought before a call is left out as soon as the final answer stands there
    "{% set last = messages[-1] %}{% for m in messages %}<|im_start|>{{ m.role }}{% if m.role != 'assistant' %}\n"
    "{{ m.content }}{% elif m.tool_calls %}"
    "{% if last.role != 'assistant' or last.tool_calls %} thought\n{{ m.reasoning_content }}<|im_end|>\n"
    "<|im_start|>assistant{% endif %} call\n{{ m.tool_calls[0].function | tojson }}"
    "{% else %}{% if m.reasoning_content %} thought\n{{ m.reasoning_content }}<|im_end|>\n<|im_start|>assistant"
    "{% endif %} final\n{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
)


@pytest.mark.parametrize("reasoning", [None, "because"])
def test_pain_10_an_answer_is_trained_behind_the_thoughts_that_serving_still_sends(
    tmp_path: Path, reasoning: str | None
) -> None:
    renderer = renderer_of(tmp_path, byte_level(), FORGETS)
    call = ToolCall(name="look", arguments={})
    messages = [
        *(user("a"), assistant(None, call, reasoning="why"), Message(role="tool", content="3 <|im_end|>")),
        assistant("three", reasoning=reasoning),
    ]
    first, second = renderer.render(conversation(*messages), index=0, max_length=1000)
    assert "why" in renderer.decode(first.completion_ids)
    assert np.array_equal(second.prompt_ids, renderer.prompt_ids(messages[:3]))
    assert "why" in renderer.decode(second.prompt_ids)
    thought = " thought\nbecause<|im_end|>\n<|im_start|>assistant" if reasoning else ""
    assert renderer.decode(second.completion_ids) == f"{thought} final\nthree<|im_end|>"


def test_an_answer_is_not_looked_for_in_a_history_that_opens_like_it(tmp_path: Path) -> None:
    template = (  # earlier answers open as the prompt does, the last one otherwise, and the history changes
        "{% for m in messages %}<|im_start|>{{ m.role }}{% if m.role == 'assistant' %}"
        "{{ ':' if not loop.last else '!' }}{{ loop.length }}{% endif %}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant:{% endif %}"
    )
    faults: list[DataError] = []
    row = conversation(user("a"), assistant("b"), user("c"), assistant("d"))
    rendered = render_all([row], renderer_of(tmp_path, byte_level(), template), max_length=1000, on_bad=faults.append)
    assert not rendered.sequences
    assert len(faults) == 2


def test_pain_10_what_a_template_does_with_reasoning_is_remarked(tmp_path: Path) -> None:
    template = THINKS.replace(
        "{% if m.role == 'assistant' and m.reasoning_content and", "{% if m.role == 'assistant' and"
    )
    renderer = renderer_of(tmp_path, byte_level(added=["<think>", "</think>"]), template)
    thinks = conversation(user("a"), assistant("b", reasoning="why"), user("c"), assistant("d"), line=4)
    rendered = render_all([thinks], renderer, max_length=1000)
    assert [(str(each.origin), each.turn, each.kind) for each in rendered.remarks] == [
        ("train.jsonl:4", 3, "empty reasoning"),
        ("train.jsonl:4", 3, "earlier reasoning"),
    ]
    assert not render_all([conversation(user("a"), assistant("b"))], renderer_of(tmp_path), max_length=1000).remarks


def test_pain_03_what_opens_the_next_turn_ends_an_answer_where_the_model_stops_at_it(tmp_path: Path) -> None:
    template = (  # as of GLM-4
        "{% for m in messages %}<|{{ 'end' if m.role == 'tool' else m.role }}|>\n{{ m.content }}"
        "{% for call in m.tool_calls %}{{ call.function | tojson }}{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    )
    tokenizer = byte_level(("<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>"))
    call = ToolCall(name="look", arguments={})
    row = conversation(
        *(user("a"), assistant("", call), Message(role="tool", content="3"), assistant("three")),
    )
    renderer = renderer_of(tmp_path, tokenizer, template, eos="<|endoftext|>")
    endings = [renderer.decode(s.completion_ids[-1:]) for s in renderer.render(row, index=0, max_length=999)]
    assert endings == ["<|endoftext|>", "<|endoftext|>"]
    stops = [tokenizer.token_to_id(text) for text in ("<|endoftext|>", "<|user|>", "<|end|>")]
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": stops}))
    renderer = load_renderer(tmp_path, RenderingConfig(), base=tmp_path)
    sequences = renderer.render(row, index=0, max_length=999)
    assert [renderer.decode(s.completion_ids[-1:]) for s in sequences] == ["<|end|>", "<|user|>"]
    assert all(s.ends for s in sequences)
    assert any("<|user|> is appended to each, <|end|> to one that calls tools" in note for note in renderer.notes)


def test_a_conversation_without_an_answer_is_counted(tmp_path: Path) -> None:
    rendered = render_all([conversation(user("a"))], renderer_of(tmp_path), max_length=1000)
    assert not rendered.sequences
    assert [item.reason for item in rendered.dropped] == ["no assistant turn"]


def test_sequences_keep_the_order_of_the_data_and_their_session(tmp_path: Path) -> None:
    rows = [
        conversation(user(str(n)), assistant(str(n)), line=n, session_id="s" if n % 2 else None) for n in range(1, 150)
    ]
    rendered = render_all(rows, renderer_of(tmp_path), max_length=1000)
    assert [sequence.origin.line for sequence in rendered.sequences] == list(range(1, 150))
    assert [sequence.conversation for sequence in rendered.sequences] == list(range(149))
    assert [s.group for s in rendered.sequences[:3]] == ["s", "train.jsonl:2", "s"]


def test_content_is_given_as_parts_to_templates_that_want_parts(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for part in m.content if part.type == 'text' %}"
        "{{ part.text }}{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    renderer = renderer_of(tmp_path, byte_level(), template)
    (sequence,) = renderer.render(conversation(user("a"), assistant("b")), index=0, max_length=1000)
    assert renderer.decode(sequence.completion_ids) == "b<|im_end|>"
