"""What a run trains and how much memory it takes is known to `check`, without torch, as `train` says it."""

import re
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from flows_files import rows, write_recipe, write_rows
from tiny_model import save_tiny_model
from tunelab.errors import AdapterError
from tunelab.events import AnyEvent, Notice
from tunelab.flows.check import CheckResult, check_data_or_recipe
from tunelab.flows.train import train
from tunelab.recipes import resolve_recipe
from tunelab.workspace import Workspace


def recipe_in(folder: Path, text: str = "") -> Path:
    save_tiny_model(folder / "model")
    write_rows(folder / "train.jsonl", rows(40))
    return write_recipe(folder, "data: {train_files: train.jsonl}\n" + text)


def checked(recipe: Path, *overrides: str) -> CheckResult:
    return check_data_or_recipe(str(recipe), overrides=("model.base_model=model", *overrides), environment={})


BY_LAYER = (
    "lora: {r: 4, rank_pattern: {q_proj: 9}, layers_to_transform: 1, exclude_modules: v_proj, init_lora_weights: olora}"
)
WHOLE = "lora: {r: 4, target_modules: attention, modules_to_save: [embed_tokens, lm_head]}"


@pytest.mark.parametrize(
    "method",
    [
        "lora: {r: 4}",
        BY_LAYER,
        WHOLE,
        "soft_prompt: {number_of_virtual_tokens: 3}",
        "ia3: {}",
        "full: {train_embeddings: false}",
        "qlora: {r: 4}",
        "qlora: {r: 4, quantization: int8}",
    ],
)
def test_pain_19_check_expects_what_train_announces(method: str, tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path, f"{method}\n")
    settings = ("training.num_training_steps=2", "training.eval_strategy=no", "model.device_map=cpu")
    model = checked(recipe, *settings).model
    assert model is not None
    told: list[AnyEvent] = []
    resolved = resolve_recipe(recipe, overrides=["model.base_model=model", *settings], environment={})
    train(resolved, Workspace(path=tmp_path), listeners=[told.append])
    notices = [sorted(re.findall(r"[\w,.]+", event.text)) for event in told if isinstance(event, Notice)]
    lines = [
        re.split(r", in (?:float32|nf4|int8) on", line)[0].partition(" frozen ones")[0] for line in model.in_words()
    ]
    assert len(lines) == (5 if method == WHOLE else 3 if "lora" in method or "ia3" in method else 2)
    for line in lines:  # the files name the layers of a block in another order
        words = sorted(re.findall(r"[\w,.]+", line.replace(",", "")))
        announced = [sorted(re.findall(r"[\w,.]+", " ".join(notice).replace(",", ""))) for notice in notices]
        assert any(set(words) <= set(each) for each in announced), line


def test_pain_07_a_wish_that_matches_no_layer_blocks_in_check(tmp_path: Path) -> None:
    result = checked(recipe_in(tmp_path, "lora: {target_modules: [qkv_proj]}\n"))
    (finding,) = [each for each in result.findings if each.code == "target_unmatched"]
    assert finding.blocking
    assert "use k_proj, q_proj, v_proj" in finding.remedy
    assert "qkv_proj matches no layer of llama" in finding.summary


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("layers_to_transform: [1, 2]", "lora.layers_to_transform: llama has no layer 2"),
        ("rank_pattern: {q_prj: 2}", 'lora.rank_pattern: "q_prj" matches no layer that is trained'),
        ("exclude_modules: embed_tokens", 'lora.exclude_modules: "embed_tokens" matches no layer'),
        ("modules_to_save: lm_haed", 'lora.modules_to_save: "lm_haed" matches no module of llama'),
        ("init_lora_weights: pissa, r: 40", "lora.init_lora_weights: model.layers.0"),
    ],
)
def test_pain_07_what_train_would_refuse_of_a_choice_of_layers_blocks_in_check(
    setting: str, told: str, tmp_path: Path
) -> None:
    (finding,) = [
        each
        for each in checked(recipe_in(tmp_path, f"lora: {{{setting}}}\n")).findings
        if each.code == "target_unmatched"
    ]
    assert finding.blocking
    assert told in finding.summary
    assert finding.remedy or "no layer 2" in finding.summary


def test_dora_over_outputs_without_weights_blocks_in_check_with_the_words_of_train(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path, "lora: {use_dora: true, target_modules: attention}\n")
    settings = ("training.num_training_steps=2", "training.eval_strategy=no")
    assert "dora_without_weights" not in [each.code for each in checked(recipe, *settings).findings]
    file = tmp_path / "model" / "model.safetensors"
    weights = load_file(file)
    weights["model.layers.1.self_attn.q_proj.weight"][3:8] = 0
    save_file(weights, file, metadata={"format": "pt"})
    (finding,) = [each for each in checked(recipe, *settings).findings if each.code == "dora_without_weights"]
    assert finding.blocking
    assert "5 of 32 rows of model.layers.1.self_attn.q_proj (such rows: q_proj 5)" in finding.summary
    resolved = resolve_recipe(recipe, overrides=["model.base_model=model", *settings], environment={})
    with pytest.raises(AdapterError) as refused:
        train(resolved, Workspace(path=tmp_path))
    assert refused.value.what == finding.summary
    without = checked(recipe, *settings, "lora.use_dora=false")
    assert "dora_without_weights" not in [each.code for each in without.findings]


def test_a_model_without_weights_is_checked_and_plans_no_model(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    (tmp_path / "model" / "model.safetensors").unlink()
    assert checked(recipe).model is None


def test_how_often_rows_are_seen_is_counted_for_steps_as_for_epochs(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    sizes = ("training.per_device_train_batch_size=4", "data.eval_fraction=0")
    by_steps = checked(recipe, *sizes, "training.num_training_steps=30").planned
    by_epochs = checked(recipe, *sizes, "training.num_train_epochs=3").planned
    assert by_steps is not None
    assert by_epochs is not None
    assert (round(by_steps.num_epochs, 6), by_epochs.num_epochs) == (3, 3)


def test_half_precision_is_counted_where_the_recipe_computes_in_it(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path)
    whole, half = (checked(recipe, "model.device_map=cpu", f"training.bf16={flag}").model for flag in ("false", "true"))
    assert whole is not None
    assert half is not None
    assert (whole.dtype, half.dtype) == ("float32", "bfloat16")
    assert whole.memory is not None
    assert half.memory is not None
    assert whole.memory.base_bytes == 2 * half.memory.base_bytes


def test_what_is_planned_is_printed_and_in_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tunelab.cli.main import run

    recipe = recipe_in(tmp_path)
    model = tmp_path / "model"
    assert run(["check", str(recipe), "--set", f"model.base_model={model}", "--fail-on", "never"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"all-linear: 14 modules \(.*\) in all 2 layers", printed)
    assert re.search(r"memory: about [\d,]+ MiB", printed)
