"""A renderer from a model's folder."""

import json
from datetime import date
from pathlib import Path

import pytest
from small_models import (
    CHATML,
    CHATML_SPECIALS,
    assistant,
    byte_level,
    conversation,
    renderer_of,
    save_model,
    sentence_piece,
    system,
    user,
)

from tunelab.errors import ModelError, RecipeError
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load_renderer import load_renderer

MARKED = CHATML.replace("<|im_start|>assistant", "<|im_start|>assistant {name}")
DATED = "{{ strftime_now('%Y-%m-%d') }}" + CHATML


def test_a_model_without_a_fast_tokenizer_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer\.json here.*save_pretrained"):
        load_renderer(tmp_path, RenderingConfig(), base=tmp_path)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    save_model(tmp_path, byte_level())
    (tmp_path / "generation_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"generation_config\.json: this is no JSON"):
        load_renderer(tmp_path, RenderingConfig(), base=tmp_path)
    (tmp_path / "generation_config.json").unlink()
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json: the tokenizer cannot be read"):
        load_renderer(tmp_path, RenderingConfig(), base=tmp_path)


def test_the_template_is_found_in_the_order_of_transformers(tmp_path: Path) -> None:
    def name_of(config: RenderingConfig) -> str:
        renderer = load_renderer(tmp_path, config, base=tmp_path)
        return renderer.decode(renderer.prompt_ids([user("a")])).rpartition(" ")[2].strip()

    places = {
        "settings": lambda text: save_model(tmp_path, byte_level(), None, chat_template=text),
        "json": lambda text: (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": text})),
        "jinja": lambda text: (tmp_path / "chat_template.jinja").write_text(text),
        "mine": lambda text: (tmp_path / "mine.jinja").write_text(text),
    }
    for name, write in places.items():
        write(MARKED.replace("{name}", name))
        config = RenderingConfig(chat_template="mine.jinja" if name == "mine" else None)
        assert name_of(config) == name


def test_named_templates_are_chosen_by_whether_there_are_tools(tmp_path: Path) -> None:
    named = [
        {"name": "default", "template": MARKED.replace("{name}", "plain")},
        {"name": "tool_use", "template": "{{ tools }}" + MARKED.replace("{name}", "tools")},
    ]
    save_model(tmp_path, byte_level(), None, chat_template=named)
    renderer = load_renderer(tmp_path, RenderingConfig(), base=tmp_path)
    assert renderer.abilities.tools
    assert renderer.decode(renderer.prompt_ids([user("a")])).endswith("assistant plain\n")
    tool = {"type": "function", "function": {"name": "f"}}
    assert renderer.decode(renderer.prompt_ids([user("a")], [tool])).endswith("assistant tools\n")


@pytest.mark.parametrize("template", [[{"name": "other", "template": "x"}], [{"name": "default"}], 3])
def test_a_template_of_unknown_form_is_refused(tmp_path: Path, template: object) -> None:
    save_model(tmp_path, byte_level(), None, chat_template=template)
    with pytest.raises(ModelError, match=r"tokenizer_config\.json: chat_template has an unknown form"):
        load_renderer(tmp_path, RenderingConfig(), base=tmp_path)


def test_a_template_of_the_recipe_that_is_missing_or_useless_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path, byte_level())
    config = RenderingConfig(chat_template="mine.jinja")
    with pytest.raises(RecipeError, match=r"data\.chat_template: there is no file .*mine\.jinja"):
        load_renderer(tmp_path, config, base=tmp_path)
    (tmp_path / "mine.jinja").write_text("{{ raise_exception('not for you') }}")
    with pytest.raises(ModelError, match="cannot render a single question: not for you"):
        load_renderer(tmp_path, config, base=tmp_path)


def test_what_ends_an_answer_is_gathered_from_all_places(tmp_path: Path) -> None:
    tokenizer = byte_level((*CHATML_SPECIALS, "<|a|>", "<|b|>", "<|c|>"))
    save_model(tmp_path, tokenizer, eos="<|endoftext|>")
    number = tokenizer.token_to_id
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [number("<|a|>"), number("<|b|>")]}))
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"eos_token_id": number("<|c|>")}}))
    renderer = load_renderer(tmp_path, RenderingConfig(), base=tmp_path)
    expected = ["<|endoftext|>", "<|im_end|>", "<|a|>", "<|b|>", "<|c|>"]
    assert renderer.stop_ids == tuple(map(number, expected))
    assert renderer.eos_id == number("<|endoftext|>")


def test_without_a_template_messages_stand_on_lines_and_answers_end_the_text(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path, sentence_piece(), None, bos="<s>", eos="</s>", add_bos_token=True)
    rows = conversation(system("s"), user("q"), assistant("a"), user("q2"), assistant("a2"))
    _, second = renderer.render(rows, index=0, max_length=100)
    assert renderer.decode(second.prompt_ids) == "<s>s\nq\na</s>q2\n"
    assert renderer.decode(second.completion_ids) == "a2</s>"
    assert any("no chat template" in note for note in renderer.notes)


def test_pain_22_all_that_can_change_an_id_changes_the_hash(tmp_path: Path) -> None:
    def hash_of(name: str, template: str = CHATML, **settings: object) -> str:
        return renderer_of(tmp_path / name, settings.pop("tokenizer", None), template, **settings).template_hash  # type: ignore[arg-type]

    base = hash_of("base")
    assert hash_of("same") == base
    others = [
        hash_of("template", CHATML + " "),
        hash_of("tokenizer", tokenizer=byte_level(added=["new"])),
        hash_of("variables", config=RenderingConfig(chat_template_kwargs={"x": 1})),
        hash_of("special", bos="<|im_start|>"),
        hash_of("preamble", config=RenderingConfig(inject_tool_preamble=False)),
    ]
    assert len({base, *others}) == 6


def test_a_template_that_writes_the_day_keeps_to_one_day(tmp_path: Path) -> None:
    save_model(tmp_path, byte_level(), DATED)
    first, second = (load_renderer(tmp_path, RenderingConfig(), base=tmp_path, today=date(2026, 1, d)) for d in (1, 2))
    assert renderer_text(first).startswith("2026-01-01")
    assert first.template_hash != second.template_hash
    assert any("2026-01-01" in note for note in first.notes)
    plain = save_model(tmp_path / "plain", byte_level())
    hashes = {
        load_renderer(plain, RenderingConfig(), base=tmp_path, today=date(2026, 1, d)).template_hash for d in (1, 2)
    }
    assert len(hashes) == 1


def renderer_text(renderer: object) -> str:
    """The prompt of one question."""
    return renderer.decode(renderer.prompt_ids([user("a")]))  # type: ignore[attr-defined,no-any-return]


def test_template_variables_of_the_recipe_reach_the_template(tmp_path: Path) -> None:
    config = RenderingConfig(chat_template_kwargs={"enable_thinking": False, "eos_token": "!"})
    template = "{{ enable_thinking }}{{ eos_token }}" + CHATML
    assert renderer_text(renderer_of(tmp_path, byte_level(), template, config=config)).startswith("False!")


def test_a_template_that_takes_no_system_message_gets_it_in_front_of_the_question(tmp_path: Path) -> None:
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHATML
    renderer = renderer_of(tmp_path, byte_level(), template)
    text = renderer.decode(renderer.prompt_ids([system("be brief"), user("a")]))
    assert text == "<|im_start|>user\nbe brief\n\na<|im_end|>\n<|im_start|>assistant\n"
    assert any("no system message" in note for note in renderer.notes)


def test_the_vocabulary_counts_added_tokens(tmp_path: Path) -> None:
    tokenizer = byte_level(added=["new"])
    assert renderer_of(tmp_path, tokenizer).vocab_size == tokenizer.token_to_id("new") + 1


def test_a_special_token_that_the_tokenizer_does_not_hold_is_noted(tmp_path: Path) -> None:
    renderer = renderer_of(tmp_path, byte_level(), eos="</s>")
    assert renderer.eos_id is None
    assert any('"</s>" as eos_token' in note for note in renderer.notes)
    assert renderer.stop_ids
