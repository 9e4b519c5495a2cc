"""What `train` refuses before its first step, `check` reports: each case is run through both."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from train_task import write_lines, write_task
from tunelab.checks.rules.refusals import refused_by_train
from tunelab.errors import UserError
from tunelab.flows.check import check_data_or_recipe
from tunelab.flows.train import train
from tunelab.recipes import resolve_recipe
from tunelab.workspace import Workspace

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1\n"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fault that keeps a run from starting."""

    code: str
    """Of the finding; empty if check itself ends with the same error."""
    says: str
    """In the error of train and in the finding."""
    spoil: Callable[[Path], object] = lambda model: None
    """Given the folder of the base model, which lies in that of the recipe."""
    settings: tuple[str, ...] = ()
    adapter: str = "lora"


def _config(**settings: object) -> Callable[[Path], object]:
    def spoil(model: Path) -> None:
        content = json.loads((model / "config.json").read_text()) | settings
        (model / "config.json").write_text(json.dumps(content))

    return spoil


def _pickle(model: Path) -> None:
    (model / WEIGHTS).unlink()
    (model / "pytorch_model.bin").write_bytes(b"\x80\x04")


def _cut(model: Path) -> None:
    os.truncate(model / WEIGHTS, (model / WEIGHTS).stat().st_size // 2)


def _lack_a_shard(model: Path) -> None:
    (model / WEIGHTS).rename(model / "model-00001-of-00002.safetensors")
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def _zero_a_row(model: Path) -> None:
    weights = load_file(model / WEIGHTS)
    weights["model.layers.0.self_attn.q_proj.weight"][3] = 0
    save_file({name: torch.Tensor(weight) for name, weight in weights.items()}, model / WEIGHTS, {"format": "pt"})


def _beside(name: str, *lines: str) -> Callable[[Path], object]:
    return lambda model: write_lines(model.parent / name, lines)


def _fill_run_folder(model: Path) -> None:
    (model.parent / "out").mkdir()
    (model.parent / "out" / "thesis.txt").write_text("mine")


_COMPARE = ("evaluation.compare=true",)
_COMPARE_FILE = (*_COMPARE, "evaluation.compare_file=questions.jsonl")
_NO_HELD_OUT = ("data.eval_files=[]", "data.eval_fraction=0", "training.eval_strategy=no")
CASES = {
    "pickled weights": Case(code="base_model_unusable", says="the weights are pickled", spoil=_pickle),
    "no weights": Case(code="base_model_unusable", says="no weights", spoil=lambda model: (model / WEIGHTS).unlink()),
    "cut weights": Case(code="base_model_unusable", says="the file is cut", spoil=_cut),
    "a missing shard": Case(
        code="base_model_unusable", says="1 of 2 files of weights are missing", spoil=_lack_a_shard
    ),
    "a pointer of Git LFS": Case(
        code="", says="Git LFS pointer", spoil=lambda model: (model / WEIGHTS).write_text(POINTER)
    ),
    "an unknown model type": Case(code="base_model_unusable", says="no model type", spoil=_config(model_type="lama")),
    "no text model": Case(code="base_model_unusable", says="no model that only writes", spoil=_config(model_type="t5")),
    "quantized weights": Case(
        code="base_model_unusable",
        says=r"quantized \(awq, 4 bits\)",
        spoil=_config(quantization_config={"quant_method": "awq", "bits": 4}),
    ),
    "float16 over bfloat16": Case(
        code="precision_impossible",
        says="fp16 cannot train over bfloat16",
        settings=("training.fp16=true", "model.torch_dtype=bfloat16"),
    ),
    "float16 over stored bfloat16": Case(
        code="precision_impossible",
        says="fp16 cannot train over bfloat16",
        settings=("training.fp16=true",),
        spoil=_config(dtype="bfloat16"),
    ),
    "bfloat16 over float16": Case(
        code="precision_impossible",
        says="bf16 cannot train over float16",
        settings=("training.bf16=true", "model.torch_dtype=float16"),
    ),
    "a prefix over running layers": Case(
        code="adapter_impossible",
        says="prefix tuning needs layers that can branch.* conv",
        adapter="prefix_tuning",
        spoil=_config(layer_types=["conv", "full_attention"]),
    ),
    "the tokenizer of another model": Case(
        code="token_beyond_embeddings", says="and the model knows 100 tokens", spoil=_config(vocab_size=100)
    ),
    "no file to compare on": Case(code="compare_rows_missing", says="questions.jsonl", settings=_COMPARE_FILE),
    "an empty file to compare on": Case(
        code="compare_rows_missing", says="questions.jsonl", settings=_COMPARE_FILE, spoil=_beside("questions.jsonl")
    ),
    "a broken file to compare on": Case(
        code="compare_rows_missing",
        says=r"questions.jsonl:1",
        settings=_COMPARE_FILE,
        spoil=_beside("questions.jsonl", '{"query": "a", "respo'),
    ),
    "no held-out rows to compare on": Case(
        code="compare_rows_missing", says="no row is held out to compare on", settings=(*_COMPARE, *_NO_HELD_OUT)
    ),
    "a run folder that holds other files": Case(
        code="run_folder_unusable",
        says="not an empty folder",
        settings=("training.output_dir=out",),
        spoil=_fill_run_folder,
    ),
    "a run folder under a file": Case(
        code="run_folder_unusable",
        says="writing failed: Not a directory",
        settings=("training.output_dir=train.jsonl/out",),
    ),
    "a target that matches nothing": Case(
        code="target_unmatched", says="qkv_proj matches no layer", settings=("lora.target_modules=qkv_proj",)
    ),
    "a layer beyond the last": Case(
        code="target_unmatched", says="has no layer 7", settings=("lora.layers_to_transform=[7]",)
    ),
    "an exclusion that matches nothing": Case(
        code="target_unmatched", says='"head" matches no layer', settings=("lora.exclude_modules=[head]",)
    ),
    "a pattern that matches nothing": Case(
        code="target_unmatched", says='"head" matches no layer', settings=("lora.rank_pattern={head: 2}",)
    ),
    "a whole module that is none": Case(
        code="target_unmatched", says='"nose" matches no module', settings=("lora.modules_to_save=[nose]",)
    ),
    "DoRA over outputs without weights": Case(
        code="dora_without_weights",
        says="DoRA divides by the norm",
        settings=("lora.use_dora=true",),
        spoil=_zero_a_row,
    ),
    "factors on embeddings": Case(
        code="target_unmatched", says="(?i)embed", adapter="ia3", settings=("ia3.target_modules=embeddings",)
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_train_refuses_before_its_first_step_check_reports(
    name: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, model = CASES[name], tmp_path / "model"
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model, model)
    recipe = write_task(tmp_path, model, adapter=case.adapter)
    case.spoil(model)
    with pytest.raises(UserError, match=case.says):
        train(resolve_recipe(recipe, overrides=case.settings, environment={}), Workspace(path=tmp_path))
    assert not list(tmp_path.glob("runs/*"))
    if not case.code:
        with pytest.raises(UserError, match=case.says):
            check_data_or_recipe(str(recipe), overrides=case.settings, environment={})
        return
    findings = check_data_or_recipe(str(recipe), overrides=case.settings, environment={}).findings
    (finding,) = [each for each in findings if each.code == case.code]
    assert finding.blocking
    assert re.search(case.says, "\n".join([finding.summary, *finding.examples]))
    assert finding.remedy


def test_a_folder_that_may_not_be_written_is_refused(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_task(tmp_path, tiny_model)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    findings = check_data_or_recipe(str(recipe), environment={}).findings
    assert [each.summary for each in findings if each.code == "run_folder_unusable"] == [
        "writing here is not permitted"
    ]
    assert not (tmp_path / "runs").exists()


def test_every_refusal_has_a_case_and_none_can_be_ignored(tiny_model: Path, tmp_path: Path) -> None:
    assert set(refused_by_train.codes) <= {case.code for case in CASES.values()}
    recipe = write_task(tmp_path, tiny_model)
    for code in refused_by_train.codes:
        with pytest.raises(UserError, match=f"{code}, which cannot be ignored"):
            resolve_recipe(recipe, overrides=[f'checks.ignore={{{code}: "never mind"}}'], environment={})


def test_no_reason_lets_pass_what_train_refuses(tiny_model: Path, tmp_path: Path) -> None:
    recipe = write_task(tmp_path, tiny_model)
    overrides = ["lora.target_modules=qkv_proj", 'checks.ignore={target_unmatched: "never mind"}']
    blocking = check_data_or_recipe(str(recipe), overrides=overrides, environment={}).findings.blocking
    assert blocking.codes() == ("target_unmatched",)
