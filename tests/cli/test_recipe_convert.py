"""`tunelab recipe convert` writes a recipe that trains the same, and never over a file that is there."""

from pathlib import Path

import pytest

import peer_recipes as examples
from tunelab.cli.main import run
from tunelab.recipes import resolve_recipe


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("axolotl.yml")
    path.write_text(examples.AXOLOTL_LORA)
    return path


def test_a_recipe_is_written_once_and_says_what_was_left_out(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "convert", "axolotl.yml", "-o", "recipe.yaml", "--set", "lora.r=4"]) == 0
    said = capsys.readouterr().out
    assert "recipe.yaml: written from axolotl.yml, read as Axolotl. Next: tunelab check recipe.yaml" in said
    assert "Note: Left out, without effect on what is trained: " in said
    text = Path("recipe.yaml").read_text()
    assert resolve_recipe(Path("recipe.yaml")).recipe == resolve_recipe(theirs, overrides=["lora.r=4"]).recipe
    assert text.startswith("# axolotl.yml, read as Axolotl.\n")
    assert "  r: 4  # --set\n" in text
    assert "  lora_dropout: 0.05  # Axolotl lora_dropout\n" in text
    assert run(["recipe", "convert", "axolotl.yml", "-o", "recipe.yaml"]) == 2
    assert "recipe.yaml: there is a file of this name. Choose another name with -o." in capsys.readouterr().err
    assert Path("recipe.yaml").read_text() == text


def test_without_a_name_the_recipe_is_printed_and_it_can_be_read_back(
    theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["recipe", "convert", "axolotl.yml"]) == 0
    Path("printed.yaml").write_text(capsys.readouterr().out)
    assert resolve_recipe(Path("printed.yaml")).recipe == resolve_recipe(theirs).recipe


def test_a_recipe_is_not_written_into_a_folder_that_is_not_there(
    theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["recipe", "convert", "axolotl.yml", "-o", "missing/recipe.yaml"]) == 2
    assert "missing: there is no such folder." in capsys.readouterr().err
