"""What a file of ModelLab's says of its run: `mount/<run_id>`, and an adapter that is compared, not trained."""

from pathlib import Path

import pytest

from tunelab.errors import RecipeError
from tunelab.recipes import Recipe, ResolvedRecipe, resolve_recipe
from tunelab.recipes.places import differing

FILE = """\
model: nano
finetune_dataset: mount/<run_id>/dataset
compare_file: mount/<run_id>/pairs.jsonl
save_dir: mount/<run_id>/save_dir
"""


def read(folder: Path, text: str = FILE, *, run_folder: Path | None = None) -> ResolvedRecipe:
    (folder / "lora.yaml").write_text(text)
    return resolve_recipe(folder / "lora.yaml", environment=None, run_folder=run_folder)


def test_mount_is_the_runs_folder_for_what_lies_there_and_the_files_folder_for_the_rest(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    assert read(tmp_path, run_folder=run).recipe.data.train_files == ("dataset",)
    (run / "dataset").mkdir(parents=True)
    (run / "save_dir").mkdir()
    recipe = read(tmp_path, run_folder=run).recipe
    assert recipe.data.train_files == (str(run / "dataset"),)
    assert (recipe.evaluation.compare_file, recipe.training.output_dir) == ("pairs.jsonl", None)
    assert read(tmp_path).recipe.data.train_files == ("dataset",)


def test_a_run_that_the_file_names_is_looked_for_among_the_runs(tmp_path: Path) -> None:
    other = tmp_path / "runs" / "other" / "dataset"
    other.mkdir(parents=True)
    text = FILE.replace("mount/<run_id>/dataset", "mount/other/dataset")
    assert read(tmp_path, text, run_folder=tmp_path / "runs" / "one").recipe.data.train_files == (str(other),)
    unknown = FILE.replace("mount/<run_id>/dataset", "mount/gone/dataset")
    assert read(tmp_path, unknown, run_folder=other.parent).recipe.data.train_files == ("mount/gone/dataset",)


@pytest.mark.parametrize("name", ["mount/<run_id>/../../secret", "mount/../secret", "mount/<run_id>/a/../../../secret"])
def test_mount_never_leads_out_of_the_runs_folder(name: str, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    (run / "a").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "runs" / "secret").mkdir()
    (file,) = read(tmp_path, FILE.replace("mount/<run_id>/dataset", name), run_folder=run).recipe.data.train_files
    assert not Path(file).is_absolute()


def test_skip_finetune_names_the_adapter_that_is_compared(tmp_path: Path) -> None:
    skipped = FILE + "skip_finetune: true\nadapter_path: made/adapter\n"
    resolved = read(tmp_path, skipped)
    assert resolved.recipe.evaluation.adapter_path == "made/adapter"
    assert resolved.sources["evaluation.adapter_path"] == f"{tmp_path / 'lora.yaml'}:6 (ModelLab adapter_path)"
    assert resolved.anchored.evaluation.adapter_path == str(tmp_path / "made" / "adapter")
    assert resolved.recipe.evaluation.compares
    (note,) = [note for note in read(tmp_path, skipped + "compare_enabled: false\n").notes if "compare_enabled" in note]
    assert note.startswith(f"{tmp_path / 'lora.yaml'}:7: compare_enabled is false")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("skip_finetune: true\n", "5: skip_finetune compares an adapter .* adapter_path names none. Set adapter_path"),
        ('adapter_path: ""\nskip_finetune: true\n', "5: skip_finetune compares .* adapter_path names none"),
        ("skip_finetune: true\nadapter_path: mount/<run_id>/<x>\n", "6: skip_finetune compares"),
        ("skip_finetune: perhaps\n", '5: skip_finetune is "perhaps"; expected true or false'),
    ],
)
def test_skip_finetune_without_an_adapter_is_refused_with_the_line(lines: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"lora.yaml:{words}"):
        read(tmp_path, FILE + lines)


def test_adapter_path_without_skip_finetune_trains_and_says_so(tmp_path: Path) -> None:
    resolved = read(tmp_path, FILE + "skip_finetune: false\nadapter_path: made\n")
    assert resolved.recipe.evaluation.adapter_path is None
    assert any("adapter_path is read only with skip_finetune" in note for note in resolved.notes)


def test_a_run_that_trains_and_one_that_takes_an_adapter_differ_though_only_a_place_does() -> None:
    trains = Recipe.model_validate({})
    takes, moved = (Recipe.model_validate({"evaluation": {"adapter_path": path}}) for path in ("a", "b"))
    assert differing(trains, takes) == ['evaluation.adapter_path is "a", and was null']
    assert differing(takes, trains) == ['evaluation.adapter_path is null, and was "a"']
    assert differing(takes, moved) == differing(trains, trains) == []
