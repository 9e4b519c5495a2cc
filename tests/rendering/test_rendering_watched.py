"""One rendering of a conversation gives the ids of one rendering an answer, or proves nothing; its cost is linear."""

import random
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from family_cases import CALL, TOOL
from small_models import (
    assistant,
    byte_level,
    conversation,
    renderer_of,
    sentence_piece,
    system,
    user,
)
from tokenizers import Regex, pre_tokenizers
from trl_families import NAMES as FAMILIES
from trl_families import SOURCES, renderer_of_family

from tunelab.conversations.conversation import Conversation, Message
from tunelab.rendering.marked import Marked
from tunelab.rendering.render_all import render_all
from tunelab.rendering.rendered import RenderedSet
from tunelab.rendering.renderer import Renderer
from tunelab.rendering.template import ChatTemplate
from tunelab.rendering.tokens import Tokens
from tunelab.rendering.words import WORD_PATTERNS

WORDS = ("yes", "no ", " tea", "\n", "é", "<", "it is <b>", "</think>", "", "{}", "2", "ação", "\n\n")


def outcome(renderer: Renderer, rows: list[Conversation]) -> tuple[object, list[str]]:
    """All that rendering gives and tells."""
    faults: list[str] = []
    rendered: RenderedSet = render_all(rows, renderer, max_length=10**6, on_bad=lambda fault: faults.append(str(fault)))
    sequences = [
        (s.conversation, s.turn, s.prompt_ids.tolist(), s.completion_ids.tolist(), s.seam, s.ends)
        for s in rendered.sequences
    ]
    return (sequences, rendered.dropped, rendered.left_out, rendered.look_alikes), faults


def alone(monkeypatch: pytest.MonkeyPatch, renderer: Renderer, rows: list[Conversation]) -> tuple[object, list[str]]:
    """The same, with each answer rendered by itself and each text encoded whole."""
    with monkeypatch.context() as patch:
        patch.setattr(Renderer, "_together", lambda self, row, assistants: {})
        patch.setattr(
            type(renderer.tokens),
            "beginnings",
            lambda self, texts: [[self.ids(text.part(0, stop)) for stop in stops] for text, stops in texts],
        )
        return outcome(renderer, rows)


def conversations(dice: random.Random, count: int) -> Iterator[Conversation]:
    """Made-up ones of all shapes, in orders that a template may refuse too."""

    def words() -> str:
        return "".join(dice.choices(WORDS, k=dice.randrange(6)))

    for line in range(count):
        messages: list[Message] = [system(words())] if dice.random() < 0.4 else []
        tools = (TOOL,) if dice.random() < 0.4 else ()
        for _ in range(dice.randrange(1, 5)):
            if dice.random() < 0.9:
                messages.append(user(words()))
            if tools and dice.random() < 0.6:
                messages.append(assistant(words() if dice.random() < 0.5 else None, CALL))
                for _ in range(dice.randrange(1, 3)):
                    messages.append(Message(role="tool", content=words(), name="get_price", tool_call_id=CALL.id))
            messages.append(assistant(words(), reasoning=words() if dice.random() < 0.3 else None))
        yield conversation(*messages, line=line, tools=tools, train="last" if dice.random() < 0.2 else "all")


@pytest.mark.skipif(find_spec("trl") is None, reason="trl is in the dev extra")
@pytest.mark.parametrize("family", FAMILIES)
def test_one_rendering_of_a_conversation_gives_the_ids_of_one_rendering_an_answer(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = renderer_of_family(family, tmp_path)
    rows = [*conversations(random.Random(family), 15)]
    assert outcome(renderer, rows) == alone(monkeypatch, renderer, rows)


def test_every_beginning_that_a_template_proves_is_the_text_of_the_shorter_conversation() -> None:
    proven = 0
    for family in FAMILIES:
        template = compiled(SOURCES[family])
        for row in conversations(random.Random(family), 8):
            messages = [{"role": m.role, "content": m.content or ""} for m in row.messages]
            try:
                steps = template.render_steps(messages)
            except Exception:
                continue
            for count, end in steps.ends.items() if steps else ():
                assert template.render(messages[:count], add_generation_prompt=False) == steps.text[:end]
                assert template.render(messages[:count], add_generation_prompt=True) == steps.text[:end] + steps.opening
                proven += 1
    assert proven > 300


def compiled(source: str) -> ChatTemplate:
    from datetime import date

    variables = {"bos_token": "<s>", "eos_token": "</s>"}
    return ChatTemplate(source, where="x.jinja", variables=variables, today=date(2026, 1, 1))


BODY = "{{ m.role }}{{ m.content }};"
LOOKS_AHEAD = {
    "the last": "{% for m in messages %}{{ 'last' if loop.last }}" + BODY + "{% endfor %}",
    "the next": "{% for m in messages %}{{ loop.nextitem is defined }}" + BODY + "{% endfor %}",
    "the number": "{% for m in messages %}{{ loop.length }}" + BODY + "{% endfor %}",
    "what is left": "{% for m in messages %}{{ loop.revindex }}" + BODY + "{% endfor %}",
    "the last message": "{% for m in messages %}{{ messages[-1].role }}" + BODY + "{% endfor %}",
    "a later one": "{% for m in messages %}{{ messages[loop.index] is defined }}" + BODY + "{% endfor %}",
    "how many": "{{ messages | length }}{% for m in messages %}" + BODY + "{% endfor %}",
    "a search": "{{ messages | map(attribute='role') | join }}{% for m in messages %}" + BODY + "{% endfor %}",
    "a loop before": "{% for m in messages %}{{ m.role }}{% endfor %}{% for m in messages %}" + BODY + "{% endfor %}",
    "backwards": "{% for m in messages[::-1] %}" + BODY + "{% endfor %}",
    "some": "{% for m in messages if m.role == 'user' %}" + BODY + "{% endfor %}",
    "a slice": "{% for m in messages[:-1] %}" + BODY + "{% endfor %}",
    "the flag": "{% for m in messages %}{{ add_generation_prompt }}" + BODY + "{% endfor %}",
    "a word in another place": "{% for m in messages %}" + BODY + "{% endfor %}{{ messages | length }}",
    "what it counted": "{% set n = namespace(x=0) %}{% for m in messages %}{% set n.x = n.x + 1 %}"
    + BODY
    + "{% endfor %}"
    "{% if add_generation_prompt %}{{ n.x }}{% endif %}",
    "an opening that looks back": "{% for m in messages %}" + BODY + "{% endfor %}"
    "{% if add_generation_prompt %}{{ messages[-1].role }}{% endif %}",
    "a closing": "{% for m in messages %}" + BODY + "{% endfor %}{% if add_generation_prompt %}a{% else %}b{% endif %}",
    "a stop": "{% for m in messages %}{% if m.content == '3' %}{% break %}{% endif %}" + BODY + "{% endfor %}",
    "whether it is all": "{{ messages == [1] }}{% for m in messages %}" + BODY + "{% endfor %}",
    "a text of it": "{{ messages }}{% for m in messages %}" + BODY + "{% endfor %}",
}


@pytest.mark.parametrize("reading", LOOKS_AHEAD)
def test_a_template_that_reads_what_comes_later_proves_no_beginning_that_it_changes(reading: str) -> None:
    template = compiled(LOOKS_AHEAD[reading])
    messages = [{"role": "user" if n % 2 == 0 else "assistant", "content": str(n)} for n in range(6)]
    try:
        steps = template.render_steps(messages)
    except TypeError:
        return
    ends = steps.ends if steps else {}
    assert len(ends) <= 1
    for count, end in ends.items():
        assert template.render(messages[:count], add_generation_prompt=False) == steps.text[:end]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages %}" + BODY + "{% endfor %}",
        "{% if messages and messages[0].role == 'system' %}{{ messages[0].content }}{% set rest = messages[1:] %}"
        "{% else %}{% set rest = messages %}{% endif %}{% for m in rest %}{{ loop.index }}" + BODY + "{% endfor %}",
        "{% for m in messages %}{{ messages[loop.index0 - 1].role if not loop.first }}" + BODY + "{% endfor %}",
    ],
)
@pytest.mark.parametrize("first", ["system", "user"])
def test_a_template_that_reads_forward_proves_every_beginning(source: str, first: str) -> None:
    messages = [{"role": first, "content": "a"}, *({"role": "user", "content": str(n)} for n in range(5))]
    steps = compiled(source + "{% if add_generation_prompt %}go{% endif %}").render_steps(messages)
    assert steps is not None
    assert set(steps.ends) >= {2, 3, 4, 5, 6}
    assert steps.opening == "go"


def work(renderer: Renderer, num_turns: int, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Characters that the template writes and characters that the tokenizer reads for one conversation."""
    written: list[int] = []
    encoded: list[int] = []
    real = ChatTemplate._written

    def counting(self: Any, *args: Any) -> str:
        text = real(self, *args)
        written.append(len(text))
        return text

    class CountingTokenizer:
        def encode_batch_fast(self, texts: list[str], **options: Any) -> Any:
            encoded.extend(map(len, texts))
            return whole.encode_batch_fast(texts, **options)

        def encode(self, text: str, **options: Any) -> Any:
            raise AssertionError("texts are encoded together")

    messages = [m for n in range(num_turns) for m in (user(f"question {n} " * 5), assistant(f"answer {n} " * 5))]
    whole = renderer.tokens.tokenizer
    with monkeypatch.context() as patch:
        patch.setattr(ChatTemplate, "_written", counting)
        patch.setattr(renderer.tokens._words, "_tokenizer", CountingTokenizer())
        rendered = render_all([conversation(*messages)], renderer, max_length=10**6)
    assert len(rendered.sequences) == num_turns
    return sum(written), sum(encoded)


def test_twice_the_turns_are_twice_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (work(renderer_of(tmp_path / str(n)), n, monkeypatch) for n in (40, 80))
    for one, other in zip(small, large, strict=True):
        assert 0 < other <= 2.2 * one


def test_turns_of_one_conversation_share_their_memory(tmp_path: Path) -> None:
    messages = [m for n in range(20) for m in (user(f"question {n}"), assistant(f"answer {n}"))]
    rendered = render_all([conversation(*messages)], renderer_of(tmp_path), max_length=10**6)
    assert len({id(s.prompt_ids.base) for s in rendered.sequences}) == 1


def test_a_history_that_rows_repeat_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = renderer_of(tmp_path)
    _, first = work(renderer, 20, monkeypatch)
    _, again = work(renderer, 21, monkeypatch)
    assert again < first / 10


def test_what_was_forgotten_to_save_memory_is_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunelab.rendering.tokens._CACHED_TOKENS", 10)
    monkeypatch.setattr("tunelab.rendering.words._CACHED_WORDS", 3)
    tokenizer = byte_level()
    tokens = Tokens(tokenizer.to_str().encode(), "")
    for number in range(40):
        text = f"one{number % 7} two three{number % 11} four"
        assert list(tokens.ids(Marked(text))) == tokenizer.encode(text, add_special_tokens=False).ids
        assert len(tokens._words) <= 3 + 4
        assert sum(map(len, tokens._units.values())) <= 10 + 40


@pytest.mark.parametrize("pattern", [None, *sorted(WORD_PATTERNS)])
def test_words_one_after_another_are_the_ids_of_the_text(pattern: str | None) -> None:
    tokenizer = byte_level()
    if pattern:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        end = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, end])
    tokens = Tokens(tokenizer.to_str().encode(), "")
    assert tokens._words.splits
    pieces = [
        "a",
        "the",
        "Hello",
        " ",
        "  ",
        "\n",
        "é",
        "e\u0301",
        "'s",
        "1",
        "23",
        ".",
        ",",
        "_",
        "!?",
        "\r\n",
        "\t",
        "\u00a0",
        "\u2003",
        "\x1c",
        "\x85",
        "\u0308",
        "<|im_end|>",
        "字",
        *[" "] * 8,
    ]
    dice = random.Random(11)
    for _ in range(5000):
        text = "".join(dice.choices(pieces, k=dice.randrange(12)))
        assert list(tokens.ids(Marked(text))) == tokenizer.encode(text, add_special_tokens=False).ids, text


@pytest.mark.parametrize("kind", ["bytes", "first", "prepend"])
def test_beginnings_have_the_ids_that_they_have_alone(kind: str, tmp_path: Path) -> None:
    from test_rendering_words import flagged

    tokenizer = byte_level() if kind == "bytes" else sentence_piece(scheme=kind)
    added = [flagged("<|r|>", rstrip=True), flagged("<|l|>", lstrip=True), flagged("<|r|>more"), flagged("<|w|>")]
    added.append(flagged("<|a b|>"))
    tokenizer.add_tokens(added)
    tokens = Tokens(tokenizer.to_str().encode(), "")
    pieces = [*(str(token.content) for token in added), "a", " ", "\n", "hello", "é", "<|", " b"]
    dice = random.Random(5)
    for _ in range(200):
        text = "".join(dice.choices(pieces, k=dice.randrange(9)))
        literals = tuple(m.span() for m in tokens.control.finditer(text) if dice.random() < 0.3)
        stops = sorted(dice.randrange(len(text) + 1) for _ in range(3))
        (found,) = tokens.beginnings([(Marked(text, literals), stops)])
        for stop, ids in zip(stops, found, strict=True):
            assert list(ids) == list(tokens.ids(Marked(text, literals).part(0, stop))), (text, stop)
            if not literals:
                assert list(ids) == tokenizer.encode(text[:stop], add_special_tokens=False).ids
