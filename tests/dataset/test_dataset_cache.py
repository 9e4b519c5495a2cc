"""`check`, `train` and `compare` render a data set once between them, and anew when anything of it changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows_files import rows, write_recipe, write_rows
from tunelab.dataset.dataset import Dataset
from tunelab.dataset.gather import gather
from tunelab.models.locate_model import locate_model
from tunelab.recipes import resolve_recipe
from tunelab.rendering.bulk import cache
from tunelab.rendering.load_renderer import load_renderer

TOOL = {"type": "function", "function": {"name": "price", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Grows with the number of rows of each side that is really rendered."""
    counted: list[int] = []
    real = cache.render_all

    def counting(conversations: Any, *args: Any, **kwargs: Any) -> Any:
        counted.append(len(conversations))
        return real(conversations, *args, **kwargs)

    monkeypatch.setattr(cache, "render_all", counting)
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path / "cache"))
    return counted


def gathered(folder: Path, *settings: str, skip: bool = False) -> Dataset:
    file = write_recipe(folder, "data:\n  train_files: train.jsonl\n  eval_fraction: 0.25\n")
    resolved = resolve_recipe(file, overrides=settings, environment={})
    recipe = resolved.anchored
    renderer = load_renderer(locate_model(recipe.model, base=resolved.base), recipe.data, base=resolved.base)
    data = recipe.data.model_copy(update={"bad_rows": "skip"}) if skip else recipe.data
    return gather(data, base=resolved.base, seed=recipe.training.seed, renderer=renderer)


def test_a_second_verb_renders_nothing_and_gets_the_same(tmp_path: Path, renders: list[int]) -> None:
    write_rows(tmp_path / "train.jsonl", rows(40))
    first, second = gathered(tmp_path, skip=True), gathered(tmp_path)
    assert renders == [30, 10]
    for one, other in (
        (first.rendered_train, second.rendered_train),
        (first.rendered_held_out, second.rendered_held_out),
    ):
        assert [s.prompt_ids.tolist() for s in one.sequences] == [s.prompt_ids.tolist() for s in other.sequences]
        assert [str(s.origin) for s in one.sequences] == [str(s.origin) for s in other.sequences]


def test_bad_turns_come_back_from_the_cache(tmp_path: Path, renders: list[int]) -> None:
    (tmp_path / "own.jinja").write_text(
        "{% if 'row 7' in messages[0].content %}{{ raise_exception('never!') }}{% endif %}"
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    write_rows(tmp_path / "train.jsonl", rows(12))
    first, second = (gathered(tmp_path, "data.chat_template=own.jinja", skip=True) for _ in range(2))
    assert len(renders) == 2
    assert [str(error) for error in first.bad_turns] == [str(error) for error in second.bad_turns]
    assert len(first.bad_turns) == 1


@pytest.mark.parametrize(
    ("setting", "num_rendered"),
    [
        ("data.max_length=64", 2),
        ("data.eval_max_length=64", 1),
        ("data.on_too_long=drop", 2),
        ("data.system_prompt=Be brief.", 2),
        ("data.tool_catalog=tools.json", 2),
        ("data.chat_template_kwargs={x: 1}", 2),
        ("data.inject_tool_preamble=false", 2),
        ("data.eval_fraction=0.5", 2),
        ("data.train_samples=20", 1),
        ("training.seed=9", 2),
    ],
)
def test_pain_22_a_changed_setting_of_the_recipe_is_rendered_anew(
    setting: str, num_rendered: int, tmp_path: Path, renders: list[int]
) -> None:
    (tmp_path / "tools.json").write_text(json.dumps([TOOL]))
    write_rows(tmp_path / "train.jsonl", rows(40))
    gathered(tmp_path)
    renders.clear()
    gathered(tmp_path, setting)
    assert len(renders) == num_rendered
    gathered(tmp_path, setting)
    assert len(renders) == num_rendered
