"""One rendering of a conversation gives the texts of the shorter ones in it, if the template reads no later message."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from family_cases import CALL, TOOL
from jinja2.sandbox import ImmutableSandboxedEnvironment
from made_up_templates import made_up_messages, made_up_template
from small_models import (
    assistant,
    conversation,
    renderer_of,
    system,
    user,
)
from trl_families import NAMES as FAMILIES
from trl_families import SOURCES, renderer_of_family

from tunelab.conversations.conversation import Conversation, Message
from tunelab.rendering.answers import Writer
from tunelab.rendering.bulk.render_all import render_all
from tunelab.rendering.rendered import RenderedSet
from tunelab.rendering.renderer import Renderer
from tunelab.rendering.templates import engine
from tunelab.rendering.templates.engine import ChatTemplate

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
        patch.setattr(Writer, "_plain", lambda self, row, assistants: None)
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


def test_a_template_that_counts_messages_is_told_where_the_texts_part(tmp_path: Path) -> None:
    source = (
        "{% for m in messages %}[{{ loop.length }}]{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}[{{ messages | length + 1 }}]assistant:{% endif %}"
    )
    renderer = renderer_of(tmp_path, template=source)
    row = conversation(user("a"), assistant("b"), user("c"), assistant("d"))
    faults: list[str] = []
    render_all([row], renderer, max_length=100, on_bad=lambda fault: faults.append(str(fault)))
    assert any("writes the messages before this answer as '3]" in fault for fault in faults), faults
    assert any("and as '4]" in fault and "counts messages" in fault for fault in faults), faults


def told(render: Callable[..., str], some: object, flag: bool) -> str | type[Exception]:
    try:
        return render(some, add_generation_prompt=flag)
    except Exception as error:
        return type(error)


def num_proven(template: ChatTemplate, messages: list[dict[str, Any]]) -> int:
    """Return how many beginnings one rendering proves; each is what the template writes of so many messages."""
    try:
        prefixes = template.prefixes(messages)
    except Exception:  # each beginning is then rendered by itself
        return 0
    if prefixes is None:
        return 0
    assert prefixes.text.text == template.render(messages, add_generation_prompt=False)
    for count, end in prefixes.ends.items():
        text, opening = prefixes.text.text[:end], prefixes.opening
        assert template.render(messages[:count], add_generation_prompt=False) == text
        assert template.render(messages[:count], add_generation_prompt=True) == text + opening
    return len(prefixes.ends)


def test_every_beginning_is_the_text_of_the_shorter_conversation() -> None:
    proven = 0
    for family in FAMILIES:
        template = compiled(SOURCES[family])
        for row in conversations(random.Random(family), 8):
            proven += num_proven(template, [{"role": m.role, "content": m.content or ""} for m in row.messages])
    assert proven > 300


@pytest.mark.parametrize("seed", range(60))
def test_a_made_up_template_is_rendered_as_by_jinja_and_proves_only_what_holds(seed: int) -> None:
    dice = random.Random(seed)
    source = made_up_template(dice)
    template, plain = compiled(source), plain_jinja().from_string(source)
    for _ in range(2):
        messages = made_up_messages(dice)
        num_proven(template, messages)
        for flag in (False, True):

            def rendered(some: object, *, add_generation_prompt: bool) -> str:
                return plain.render(messages=some, add_generation_prompt=add_generation_prompt, tools=None)

            ours, jinjas = (told(render, messages, flag) for render in (template.render, rendered))
            assert ours == jinjas or (isinstance(ours, type) and isinstance(jinjas, type))


@pytest.mark.parametrize(
    "body",
    [
        "{% if m.odd %}{{ m.role }}{% endif %}",
        "{% if not m.odd %}{{ m.role }}{% endif %}",
        "{% if m.odd %}{% else %}{{ m.role }}{% endif %}",
        "{% if loop.last and m.odd %}{{ m.role }}{% endif %}",
        "{% set k = m %}{% if k.odd %}{{ m.role }}{% endif %}",
        "{% if n.odd and m.odd %}{{ m.role }}{% set n.odd = false %}{% endif %}",
    ],
)
@pytest.mark.parametrize("target", ["m", "n"])
def test_a_search_is_left_only_where_a_namespace_says_that_it_is_done(body: str, target: str) -> None:
    body = body.replace("m.", f"{target}.").replace("= m ", f"= {target} ")
    source = f"{{% set n = namespace(odd=true) %}}{{% for {target} in messages %}}{body}{{% endfor %}}"
    messages = [{"role": str(place), "odd": place % 3 == 1} for place in range(7)]
    expected = told(partial(plain_jinja().from_string(source).render, tools=None), {"messages": messages}, False)
    assert told(compiled(source).render, messages, False) == expected or isinstance(expected, type)


def plain_jinja() -> ImmutableSandboxedEnvironment:
    """The sandbox as transformers makes it, without anything of ours."""

    def refuse(message: str) -> None:
        raise ValueError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = refuse
    return environment


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
    "the last by another way": "{% for m in messages %}{{ 'last' if loop['last'] }}" + BODY + "{% endfor %}",
    "the next, and no more": "{% for m in messages %}" + BODY + "{% if not loop.last %}{% continue %}{% endif %}."
    "{% endfor %}",
    "a method of it": "{{ messages.index({'role': 'user', 'content': '4'}) }}{% for m in messages %}"
    + BODY
    + "{% endfor %}",
    "a copy of it": "{{ messages.copy is defined }}{{ messages.copy() | length }}{% for m in messages %}"
    + BODY
    + "{% endfor %}",
    "whether it is all": "{{ messages == [1] }}{% for m in messages %}" + BODY + "{% endfor %}",
    "a text of it": "{{ messages }}{% for m in messages %}" + BODY + "{% endfor %}",
}


@pytest.mark.parametrize("reading", LOOKS_AHEAD)
def test_a_template_that_reads_what_comes_later_proves_no_beginning_that_it_changes(reading: str) -> None:
    template = compiled(LOOKS_AHEAD[reading])
    messages = [{"role": "user" if n % 2 == 0 else "assistant", "content": str(n)} for n in range(6)]
    assert num_proven(template, messages) <= 1


def test_a_template_that_stops_proves_the_beginnings_before_its_stop_and_the_whole() -> None:
    source = "{% for m in messages %}{% if m.content == '3' %}{% break %}{% endif %}" + BODY + "{% endfor %}"
    messages = [{"role": "user", "content": str(n)} for n in range(6)]
    assert num_proven(compiled(source), messages) == 4
    prefixes = compiled(source).prefixes(messages)
    assert prefixes is not None
    assert set(prefixes.ends) == {1, 2, 3, 6}


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
    prefixes = compiled(source + "{% if add_generation_prompt %}go{% endif %}").prefixes(messages)
    assert prefixes is not None
    assert set(prefixes.ends) >= {2, 3, 4, 5, 6}
    assert prefixes.opening == "go"


def work(renderer: Renderer, num_turns: int, monkeypatch: pytest.MonkeyPatch, *, reasons: bool = False) -> list[int]:
    """How often a template begins to write, how many characters it writes, and how many a tokenizer reads."""
    pieces: list[int] = []
    encoded: list[int] = []

    def counting(*args: Any) -> str:
        text: str = written(*args)
        pieces.append(len(text))
        return text

    class CountingTokenizer:
        def encode_batch_fast(self, texts: list[str], **options: Any) -> Any:
            encoded.extend(map(len, texts))
            return whole.encode_batch_fast(texts, **options)

        def encode(self, text: str, **options: Any) -> Any:
            raise AssertionError("texts are encoded together")

    thought = "so it is" if reasons else None
    messages = [
        message
        for n in range(num_turns)
        for message in (user(f"question {n} " * 5), assistant(f"answer {n} " * 5, reasoning=thought))
    ]
    whole, written = renderer.tokens.tokenizer, engine._Environment.written
    with monkeypatch.context() as patch:
        patch.setattr(engine._Environment, "written", counting)
        patch.setattr(renderer.tokens._words, "_tokenizer", CountingTokenizer())
        render_all([conversation(*messages)], renderer, max_length=10**6, on_bad=lambda fault: None)
    return [len(pieces), sum(pieces), sum(encoded)]


LOOK_AHEAD = (
    *("cohere2", "deepseek_r1_distill", "deepseekv3", "diffusion_gemma"),
    *("gemma4", "gemma4_v2", "gemma4_v3", "gemma4_v4", "gemma4_v5", "glm4moe", "gptoss"),
    *("lfm2_2_5", "lfm2_2_5_v2", "lfm2_2_5_vl", "muse_glimmer"),
    *("nemotron_3_5_lightning", "nemotron_3_nano", "nemotron_3_super", "nemotron_3_ultra", "phi3", "phi3_5"),
    *("qwen3", "qwen3_5_nothink", "qwen3_5_think", "qwen3_6", "qwen3_8"),
)
"""Families whose templates write a message otherwise for what follows it, or look whether something does."""


@pytest.mark.skipif(find_spec("trl") is None, reason="trl is in the dev extra")
@pytest.mark.parametrize("family", FAMILIES)
def test_twice_the_turns_are_twice_the_renderings_and_twice_the_characters_unless_a_template_looks_ahead(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renderer = renderer_of_family(family, tmp_path)
    work(renderer, 1, monkeypatch)
    for reasons in (False, True):
        small, large = (work(renderer, num_turns, monkeypatch, reasons=reasons) for num_turns in (16, 32))
        assert 0 < large[0] <= 2.2 * small[0]
        assert (0 < large[1] <= 2.2 * small[1]) == (family not in LOOK_AHEAD)


def test_twice_the_turns_are_twice_the_text_to_encode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (work(renderer_of(tmp_path / str(n)), n, monkeypatch) for n in (40, 80))
    assert 0 < large[-1] <= 2.2 * small[-1]


def test_turns_of_one_conversation_share_their_memory(tmp_path: Path) -> None:
    messages = [m for n in range(20) for m in (user(f"question {n}"), assistant(f"answer {n}"))]
    rendered = render_all([conversation(*messages)], renderer_of(tmp_path), max_length=10**6)
    assert len({id(s.prompt_ids.base) for s in rendered.sequences}) == 1


def test_a_history_that_rows_repeat_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renderer = renderer_of(tmp_path)
    *_, first = work(renderer, 20, monkeypatch)
    *_, again = work(renderer, 21, monkeypatch)
    assert again < first / 10
