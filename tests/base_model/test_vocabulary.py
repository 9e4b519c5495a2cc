"""The tokenizer and chat template of the embedded model, as `AutoTokenizer` reads them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from base_model.chats import draw_chat
from base_model.corpus import documents
from base_model.tool_chats import draw_tool_chat
from base_model.vocabulary import CHAT_TEMPLATE_FILE, chat_renderer, train_tokenizer, write_tokenizer
from tunelab.starter import NANO_FOLDER

AutoTokenizer = pytest.importorskip("transformers").AutoTokenizer


@pytest.fixture(scope="module")
def nano() -> Any:
    return AutoTokenizer.from_pretrained(NANO_FOLDER)


def test_the_text_comes_back_as_it_went_in(nano: Any) -> None:
    for document in islice(documents(Random(3)), 200):
        ids = nano(document, add_special_tokens=False)["input_ids"]
        assert nano.decode(ids) == document
    odd = "ação ★ 東京 \t\n  0.87 <b>"
    assert nano.decode(nano(odd)["input_ids"]) == odd


def test_no_token_is_put_in_front_or_behind(nano: Any) -> None:
    assert nano("A")["input_ids"] == nano("A", add_special_tokens=False)["input_ids"]
    assert nano.bos_token is None
    assert (nano.eos_token, nano.pad_token) == ("<|im_end|>", "<|endoftext|>")


def test_every_digit_is_its_own_token(nano: Any) -> None:
    assert nano.tokenize("48213") == list("48213")
    alone = {nano.convert_tokens_to_ids(digit) for digit in "0123456789"}
    assert not [token for token in nano.get_vocab() if any(map(str.isdecimal, token)) and len(token) > 1]
    assert len(alone) == 10


def test_tool_marks_survive_decoding_and_turn_marks_do_not(nano: Any) -> None:
    text = '<|im_start|>assistant\n<tool_call>\n{"a": 1}\n</tool_call><|im_end|>'
    ids = nano(text)["input_ids"]
    assert nano.decode(ids, skip_special_tokens=True) == 'assistant\n<tool_call>\n{"a": 1}\n</tool_call>'
    for mark in ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<|im_start|>", "<|im_end|>"):
        assert len(nano(mark)["input_ids"]) == 1


def test_the_model_is_trained_on_exactly_what_the_template_gives(nano: Any) -> None:
    render, chance = chat_renderer(), Random(4)
    for draw in (draw_chat, draw_tool_chat):
        for _ in range(50):
            chat = draw(chance)
            expected = nano.apply_chat_template(chat.messages, tools=chat.tools, tokenize=False)
            assert render(chat.messages, chat.tools) == expected


def test_each_beginning_of_a_chat_renders_to_a_beginning_of_its_text(nano: Any) -> None:
    chance = Random(6)
    for _ in range(60):
        chat = draw_tool_chat(chance)
        whole = nano.apply_chat_template(chat.messages, tools=chat.tools, tokenize=False)
        for count in range(1, len(chat.messages) + 1):
            start = nano.apply_chat_template(chat.messages[:count], tools=chat.tools, tokenize=False)
            assert whole.startswith(start)
            if count < len(chat.messages) and chat.messages[count]["role"] == "assistant":
                prompt = nano.apply_chat_template(
                    chat.messages[:count], tools=chat.tools, tokenize=False, add_generation_prompt=True
                )
                assert prompt == start + "<|im_start|>assistant\n"
                assert whole.startswith(prompt)


def test_two_tool_results_in_a_row_keep_the_beginning_stable(nano: Any) -> None:
    calls = [{"type": "function", "function": {"name": name, "arguments": {}}} for name in ("one", "two")]
    messages = [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": "Both.", "tool_calls": calls},
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2"},
    ]
    whole = nano.apply_chat_template(messages, tokenize=False)
    assert whole.startswith(nano.apply_chat_template(messages[:3], tokenize=False))
    assert whole.count("<tool_call>") == 2
    assert 'Both.\n<tool_call>\n{"name": "one", "arguments": {}}\n</tool_call>\n<tool_call>' in whole


def test_without_a_system_message_none_is_made_up(nano: Any) -> None:
    text = nano.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_arguments_render_alike_as_an_object_and_as_json_text(nano: Any) -> None:
    def render(arguments: Any, content: str | None) -> str:
        call = {"type": "function", "function": {"name": "look", "arguments": arguments}}
        return str(
            nano.apply_chat_template(
                [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": content, "tool_calls": [call]},
                ],
                tokenize=False,
            )
        )

    assert render({"order": "Á-1", "n": 2}, None) == render('{"order": "Á-1", "n": 2}', "")


def test_training_a_tokenizer_twice_gives_the_same_tokenizer(tmp_path: Path) -> None:
    texts = list(islice(documents(Random(8)), 400))
    first, again = train_tokenizer(texts, 600), train_tokenizer(texts, 600)
    assert first.to_str() == again.to_str()
    write_tokenizer(first, tmp_path)
    assert (tmp_path / "chat_template.jinja").read_text() == CHAT_TEMPLATE_FILE.read_text()
    assert AutoTokenizer.from_pretrained(tmp_path).vocab_size == first.get_vocab_size()


def test_the_stored_template_is_the_one_of_the_source() -> None:
    assert (NANO_FOLDER / "chat_template.jinja").read_text() == CHAT_TEMPLATE_FILE.read_text()
