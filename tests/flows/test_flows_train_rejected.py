"""Rows that a recipe's cleaning rejects stand beside the run, as those of `tunelab clean` stand beside its output."""

import json
from pathlib import Path

import pytest

from tunelab.cli.main import run
from tunelab.dataset.gather import gather
from tunelab.errors import DataError
from tunelab.events import Notice
from tunelab.flows.train import train
from tunelab.recipes import resolve_recipe
from tunelab.rendering.load_renderer import load_renderer
from tunelab.starter import NANO_FOLDER
from tunelab.workspace import Workspace

RULES = ["data.cleaning.drop_duplicates=row", "data.cleaning.min_chars={prompt: 5}", "data.eval_files=[test.jsonl]"]
LONG = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(12)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, rows in (
        ("train", [*LONG, LONG[2], {"prompt": "q", "completion": "x"}]),
        ("test", [{"prompt": "question of a test", "completion": "x"}] * 2),
    ):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text("data: {train_files: [train.jsonl]}\ntraining: {num_training_steps: 1}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_keeps_each_rejected_row_with_its_place_and_its_reason(folder: Path) -> None:
    told: list[object] = []
    resolved = resolve_recipe(folder / "recipe.yaml", overrides=RULES, environment={})
    run_folder = train(resolved, Workspace(path=folder), listeners=[told.append]).run.path
    kept = [json.loads(line) for line in (run_folder / "rejected.jsonl").read_text().splitlines()]
    assert [(each["where"], each["rule"]) for each in kept] == [
        ("train.jsonl:13", "drop_duplicates"),
        ("train.jsonl:14", "min_chars"),
        ("test.jsonl:2", "drop_duplicates"),
    ]
    assert kept[0]["row"] == LONG[2]
    notices = [each.text for each in told if isinstance(each, Notice)]
    assert f"each rejected row is kept with its reason in {run_folder / 'rejected.jsonl'}" in notices


def test_a_run_that_never_began_takes_them_back(folder: Path) -> None:
    rules = [*RULES, "checks.min_rows=100"]
    with pytest.raises(DataError, match="too_few_rows"):
        train(resolve_recipe(folder / "recipe.yaml", overrides=rules, environment={}), Workspace(path=folder))
    assert not list(folder.rglob("rejected.jsonl"))


def test_a_run_without_rules_writes_no_such_file(folder: Path) -> None:
    resolved = resolve_recipe(folder / "recipe.yaml", overrides=[], environment={})
    assert not (train(resolved, Workspace(path=folder)).run.path / "rejected.jsonl").exists()


def test_check_says_how_to_get_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["check", "recipe.yaml", *(word for rule in RULES for word in ("--set", rule))])
    assert "tunelab clean, with the same rules, keeps each rejected row with its reason" in capsys.readouterr().out
    assert sorted(each.name for each in folder.iterdir()) == ["recipe.yaml", "test.jsonl", "train.jsonl"]


def test_rows_that_are_refused_together_leave_no_half_file(folder: Path) -> None:
    resolved = resolve_recipe(
        folder / "recipe.yaml", overrides=["data.cleaning.min_chars={prompt: 50}"], environment={}
    )
    renderer = load_renderer(NANO_FOLDER, resolved.recipe.data, base=folder)
    with pytest.raises(DataError, match="no row is left"):
        gather(
            resolved.anchored.data,
            base=resolved.base,
            seed=resolved.recipe.training.seed,
            renderer=renderer,
            rejected=folder / "rejected.jsonl",
        )
    assert not [each for each in folder.iterdir() if "rejected" in each.name]
