"""Every file under examples/ does what its first lines say."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from train_task import steps, write_task
from tunelab.events import read_events
from tunelab.flows.check import check_data_or_recipe
from tunelab.flows.train import train
from tunelab.recipes import resolve_recipe
from tunelab.workspace import Run, Workspace

EXAMPLES = Path(__file__).parents[2] / "examples"
RECIPES = sorted(EXAMPLES.rglob("*.yaml"))


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trained(recipe: Path, tiny_model: Path, workspace: Path, *settings: str) -> Run:
    overrides = [f"model.base_model={tiny_model}", "training.num_training_steps=2", *settings]
    return train(resolve_recipe(recipe, overrides=overrides), Workspace(path=workspace)).run


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.relative_to(EXAMPLES).as_posix())
def test_each_recipe_passes_its_check_and_trains(recipe: Path, tiny_model: Path, tmp_path: Path) -> None:
    checked = check_data_or_recipe(str(recipe), overrides=[f"model.base_model={tiny_model}"])
    assert checked.findings.blocking.codes() == ()
    run = trained(recipe, tiny_model, tmp_path, "training.num_warmup_steps=0")
    assert run.is_finished
    assert json.loads(run.manifest_file.read_text())["steps"] == 2


def test_there_is_a_recipe_of_each_dialect() -> None:
    dialects = {resolve_recipe(recipe, environment={}).dialect for recipe in RECIPES}
    assert dialects == {"canonical", "nested", "ModelLab LoRA", "ModelLab soft prompt"}


def test_the_flat_loop_computes_the_losses_of_tunelab_train(tiny_model: Path, tmp_path: Path) -> None:
    losses = example("flat_training_loop").main(
        ["--model", str(tiny_model), "--steps", "3", "--out", str(tmp_path / "adapter")]
    )
    assert sorted(file.name for file in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    settings = (
        "training.num_warmup_steps=0",
        "training.lr_scheduler_type=linear",
        "training.per_device_train_batch_size=4",
        "training.gradient_accumulation_steps=2",
        "training.num_training_steps=3",
    )
    run = trained(EXAMPLES / "recipe_lora.yaml", tiny_model, tmp_path, *settings)
    # The flat loop keeps its learning rate, the recipe lowers it: after the second step they part.
    told = [step.loss for step in steps(read_events(run.events_file))]
    assert losses[:2] == pytest.approx(told[:2], abs=1e-6)
    assert losses[2] < losses[0]
    assert len((EXAMPLES / "flat_training_loop.py").read_text().splitlines()) < 150


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft asks a deprecated name
@pytest.mark.parametrize("recipe", ["recipe_lora.yaml", "modellab/soft_prompt.yaml", "recipe_prefix_tuning.yaml"])
def test_stock_peft_computes_the_logits_of_a_run(recipe: str, tiny_model: Path, tmp_path: Path) -> None:
    run = trained(EXAMPLES / recipe, tiny_model, tmp_path, "training.num_warmup_steps=0", "training.learning_rate=0.1")
    assert example("load_with_peft").main([str(run.path)]) < 1e-5


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("adapter", ["full", "qlora", "ia3"])
def test_stock_libraries_compute_the_logits_of_a_run_of_every_other_kind(
    adapter: str, tiny_model: Path, tmp_path: Path
) -> None:
    file = write_task(tmp_path / "task", tiny_model, adapter=adapter)
    run = trained(file, tiny_model, tmp_path, "training.num_training_steps=4")
    assert example("load_with_peft").main([str(run.path)]) < 1e-5


def test_the_python_api_checks_trains_and_compares(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ("training.num_training_steps=3", "training.num_warmup_steps=0", f"model.base_model={tiny_model}")
    compared = example("python_api").main(
        [str(EXAMPLES / "recipe_lora.yaml"), *(word for each in settings for word in ("--set", each))]
    )
    assert len(compared.rows) == 4
    loss = compared.report.tasks[0].figure("loss")
    assert loss.before.value is not None
    assert loss.after.value is not None
    assert loss.after.value < loss.before.value
    assert "32 conversations to train on, 8 held out" in capsys.readouterr().out


def test_no_example_goes_untested() -> None:
    source = Path(__file__).read_text()
    scripts = sorted(EXAMPLES.glob("*.py"))
    assert len(scripts) == 3
    assert [script.stem for script in scripts if f'example("{script.stem}")' not in source] == []
