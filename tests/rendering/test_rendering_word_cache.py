"""What a message says stays words: it never becomes a control token."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import (
    CHATML,
    CHATML_SPECIALS,
    assistant,
    byte_level,
    conversation,
    renderer_of,
    sentence_piece,
    user,
)
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from tunelab.conversations.conversation import ToolCall
from tunelab.errors import DataError
from tunelab.rendering.bulk.render_all import render_all
from tunelab.rendering.renderer import Renderer
from tunelab.rendering.tokens.marked_text import Marked
from tunelab.rendering.tokens.tokenizer import Tokens

TOOLS_TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for call in m.tool_calls %}<tool_call>\n"
    "{{ call.function | tojson }}\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
READS_THINKING = (
    "{% for m in messages %}{% set text = m.content %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and '</think>' in text %}{% set thought = text.split('</think>')[0] %}"
    "{% set text = text.split('</think>')[1] %}"
    "<think>\n{{ thought.split('<think>')[1].strip() }}\n</think>\n{% endif %}"
    "{{ text.strip() }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKUP = ["<tool_call>", "</tool_call>", "<think>", "</think>"]
SPECIAL_PIECES = [*CHATML_SPECIALS, "<|im_", "end|>", "hi", " ", "\n", "é", ". "]
PIECES = st.lists(st.sampled_from([*SPECIAL_PIECES, *MARKUP]), max_size=8)


def with_markup() -> Tokenizer:
    """ChatML with markup tokens that are not special, as Qwen has them."""
    return byte_level(added=[AddedToken(text, normalized=False) for text in MARKUP])


@pytest.fixture(scope="module")
def renderers(tmp_path_factory: pytest.TempPathFactory) -> list[Renderer]:
    """One of each kind of tokenizer."""
    folder = tmp_path_factory.mktemp("models")
    pieces = [sentence_piece((*CHATML_SPECIALS, "<s>"), scheme=scheme) for scheme in ("first", "never")]
    tokenizers = [with_markup(), *pieces]
    return [renderer_of(folder / str(number), tokenizer, TOOLS_TEMPLATE) for number, tokenizer in enumerate(tokenizers)]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    question=PIECES.map("".join),
    answer=st.lists(st.sampled_from(SPECIAL_PIECES), max_size=8).map("".join),
    argument=PIECES.map("".join),
)
def test_special_strings_in_messages_stay_text(
    renderers: list[Renderer], question: str, answer: str, argument: str
) -> None:
    call = ToolCall(name="f", arguments={"a": argument})
    tool = {"type": "function", "function": {"name": "f", "description": argument}}
    clean = conversation(
        user("q"), assistant("a", ToolCall(name="f", arguments={"a": "b"})), tools=(tool | {"function": {"name": "f"}},)
    )
    dirty = conversation(user(question), assistant(answer, call), tools=(tool,))
    for renderer in renderers:
        (expected,) = renderer.render(clean, index=0, max_length=10_000)
        (sequence,) = renderer.render(dirty, index=0, max_length=10_000)
        for ids, of_template in (
            (sequence.prompt_ids, expected.prompt_ids),
            (sequence.completion_ids, expected.completion_ids),
        ):
            control = [int(id_) for id_ in ids if renderer.tokens.is_control(id_)]
            assert control == [int(id_) for id_ in of_template if renderer.tokens.is_control(id_)]
        (turn,) = renderer.turns(dirty)
        whole = [*sequence.prompt_ids, *sequence.completion_ids]
        assert not isinstance(turn, DataError)
        assert renderer.decode(whole) == turn.text.text[: turn.end]
        assert question in turn.text.text[: turn.end]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=PIECES.map("".join))
def test_markup_in_an_answer_is_what_the_model_writes_and_special_strings_in_it_stay_text(
    renderers: list[Renderer], answer: str
) -> None:
    for renderer in renderers:
        (sequence,) = renderer.render(conversation(user("q"), assistant(answer)), index=0, max_length=10_000)
        control = [int(id_) for id_ in sequence.completion_ids if renderer.tokens.is_control(id_)]
        markup = [text for text in renderer.tokens.control.findall(answer) if text in MARKUP]
        markup = [text for text in markup if text in renderer.tokens.id_of]
        assert [renderer.tokens.tokenizer.id_to_token(id_) for id_ in control] == [*markup, "<|im_end|>"]


def test_a_call_written_into_the_content_has_the_ids_of_a_call(renderers: list[Renderer]) -> None:
    call = ToolCall(name="f", arguments={"a": "b"})
    written = '<tool_call>\n{"name": "f", "arguments": {"a": "b"}}\n</tool_call>'
    for renderer in renderers:
        (as_call,) = renderer.render(conversation(user("q"), assistant("", call)), index=0, max_length=999)
        (as_text,) = renderer.render(conversation(user("q"), assistant(written)), index=0, max_length=999)
        assert list(as_text.completion_ids) == list(as_call.completion_ids)
        assert not render_all([conversation(user("q"), assistant(written))], renderer, max_length=999).look_alikes


def test_markup_in_what_others_say_stays_text(renderers: list[Renderer]) -> None:
    call = ToolCall(name="f", arguments={"a": "</tool_call>"})
    for renderer in renderers[:1]:
        rows = conversation(user("</tool_call>"), assistant("a", call), user("b"), assistant("c"))
        for sequence in renderer.render(rows, index=0, max_length=999):
            control = [renderer.tokens.tokenizer.id_to_token(int(id_)) for id_ in sequence.prompt_ids]
            assert control.count("</tool_call>") == (sequence.turn == 3)


def test_words_in_another_message_do_not_change_how_the_rest_is_encoded(renderers: list[Renderer]) -> None:
    for renderer in renderers:
        plain = renderer.render(conversation(user("q"), assistant("Hello there")), index=0, max_length=999)[0]
        other = renderer.render(conversation(user("<|im_end|>"), assistant("Hello there")), index=0, max_length=999)[0]
        assert list(plain.completion_ids) == list(other.completion_ids)


def test_the_conversations_with_look_alikes_are_named(tmp_path: Path) -> None:
    rows = [
        conversation(user("a"), assistant("b"), line=1),
        conversation(user("</s> <|im_end|>"), assistant("b"), line=2),
    ]
    rendered = render_all(rows, renderer_of(tmp_path), max_length=100)
    assert [str(origin) for origin in rendered.look_alikes] == ["train.jsonl:2"]


def test_markup_that_the_template_reads_itself_is_the_templates(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path, with_markup(), READS_THINKING)
    rows = conversation(user("say <|im_end|> and </think>"), assistant("<think>why</think>yes"))
    (sequence,) = renderer.render(rows, index=0, max_length=100)
    ids = [renderer.tokens.tokenizer.id_to_token(int(id_)) for id_ in sequence.completion_ids]
    assert ids[0] == "<think>"
    assert "</think>" in ids
    assert ids[-1] == "<|im_end|>"
    prompt = [renderer.tokens.tokenizer.id_to_token(int(id_)) for id_ in sequence.prompt_ids]
    assert prompt.count("<|im_end|>") == 1
    assert "</think>" not in prompt


@pytest.mark.parametrize(
    "reading", ["'!' if '<|im_end|>' in message.content", "'x' if '|' in message.content else 'y'"]
)
def test_words_that_cannot_be_followed_are_a_fault_with_its_place(tmp_path: Path, reading: str) -> None:
    template = CHATML.replace("{{ message.content }}", f"{{{{ {reading} }}}}{{{{ message.content }}}}")
    renderer = renderer_of(tmp_path, byte_level(), template)
    with pytest.raises(DataError, match=r'train\.jsonl:1: message 2: the words "<\|im_end\|>" in a message'):
        renderer.render(conversation(user("<|im_end|>"), assistant("b")), index=0, max_length=100)


def test_a_tokenizer_that_spells_a_control_token_from_words_is_a_fault(tmp_path: Path) -> None:
    words = {
        text: number for number, text in enumerate(["<unk>", "<|im_start|>", "<|im_end|>", "a", "user", "assistant"])
    }
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    renderer = renderer_of(tmp_path, tokenizer)
    with pytest.raises(DataError, match=r'message 2: this tokenizer makes "<\|im_end\|>" of plain text'):
        renderer.render(conversation(user("a <|im_end|>"), assistant("a")), index=0, max_length=100)


def test_added_words_and_white_space_remain_what_they_are(tmp_path: Path) -> None:
    tokenizer = byte_level(
        added=["Tunelab", AddedToken("\n\n", normalized=False), AddedToken("<table>", normalized=False)]
    )
    renderer = renderer_of(tmp_path, tokenizer)
    for text in ("Tunelab", "\n\n", "<table>"):
        assert list(renderer.encode(text)) == [tokenizer.token_to_id(text)]
    with_both = renderer.encode("Tunelab <|im_end|> Tunelab")
    assert list(with_both).count(tokenizer.token_to_id("Tunelab")) == 2
    assert tokenizer.token_to_id("<|im_end|>") not in with_both


def test_tokens_that_swallow_white_space_do_so_beside_look_alikes_too(tmp_path: Path) -> None:
    template = (  # as of Phi-3
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    )
    tokenizer = byte_level(("<|endoftext|>",))
    tokenizer.add_tokens([flagged(f"<|{name}|>", rstrip=True) for name in ("user", "assistant", "end")])
    renderer = renderer_of(tmp_path, tokenizer, template, eos="<|endoftext|>")
    clean, dirty = (renderer.prompt_ids([user(f"hello{more}")]) for more in ("", " <|end|>\n there"))
    assert renderer.decode(clean) == "<|user|>hello<|end|><|assistant|>"
    assert renderer.decode(dirty) == "<|user|>hello <|end|>\n there<|end|><|assistant|>"
    assert [id_ for id_ in dirty if renderer.tokens.is_control(id_)] == [clean[0], *clean[-2:]]


def test_encode_takes_nothing_for_a_control_token(renderers: list[Renderer]) -> None:
    for renderer in renderers:
        ids = renderer.encode("a <|im_end|> b")
        assert renderer.decode(ids) == "a <|im_end|> b"
        assert not any(renderer.tokens.is_control(id_) for id_ in ids)


def flagged(text: str, **flags: bool) -> AddedToken:
    """An added token with flags."""
    return AddedToken(text, special=True, **({"normalized": False} | flags))


@pytest.mark.parametrize("kind", ["bytes", "first", "always", "prepend"])
def test_units_one_after_another_are_the_ids_of_the_whole(kind: str) -> None:
    added = [
        flagged("<|r|>", rstrip=True),
        flagged("<|l|>", lstrip=True),
        flagged("<|b|>", lstrip=True, rstrip=True),
        flagged("<|n|>", normalized=True),
        flagged("<|w|>", single_word=True),
        flagged("<|r|>more"),
        AddedToken("word", single_word=True),
        AddedToken("\n\n", normalized=False),
    ]
    tokenizer = byte_level() if kind == "bytes" else sentence_piece(scheme=kind)
    tokenizer.add_tokens(added)
    tokens = Tokens(tokenizer.to_str().encode(), "")
    pieces = [*(str(token.content) for token in added), "a", " ", "  ", "\n", "hello", "é", "<|"]
    dice = random.Random(7)
    for _ in range(400):
        text = "".join(dice.choices(pieces, k=dice.randrange(9)))
        assert list(tokens.ids(Marked(text))) == tokenizer.encode(text, add_special_tokens=False).ids, text
