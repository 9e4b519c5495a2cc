"""A whole run over a base model that cannot branch."""

import json
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from rendering.small_models import CHATML, byte_level, save_model
from running_networks import RUNNING
from train_task import write_task
from tunelab.events import Notice, RunFinished, RunStarted, read_events
from tunelab.flows.check import check_data_or_recipe
from tunelab.flows.compare import compare_run
from tunelab.flows.train import train
from tunelab.recipes import resolve_recipe
from tunelab.workspace import Workspace


def save_running_model(folder: Path, family: str) -> Path:
    tokenizer = byte_level()
    config = deepcopy(RUNNING[family])
    config.vocab_size = tokenizer.get_vocab_size()
    config.eos_token_id = tokenizer.token_to_id("<|im_end|>")
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return save_model(folder, tokenizer, CHATML)


@pytest.mark.parametrize(("family", "adapter"), [("lfm2", "lora"), ("mamba2", "soft_prompt")])
def test_a_model_that_cannot_branch_is_checked_trained_and_compared_and_says_that_it_takes_rows(
    family: str, adapter: str, tmp_path: Path
) -> None:
    recipe = write_task(tmp_path, save_running_model(tmp_path / "model", family), adapter=adapter)
    small = ["training.num_training_steps=2", "evaluation.num_examples=3", "evaluation.max_new_tokens=4"]
    told = "prefix sharing is off for this base model"
    assert any(told in note for note in check_data_or_recipe(str(recipe), overrides=small, environment={}).notes)

    run = train(resolve_recipe(recipe, overrides=small, environment={}), Workspace(path=tmp_path)).run
    events = list(read_events(run.events_file))
    assert any(told in event.text for event in events if isinstance(event, Notice))
    (started,) = [event for event in events if isinstance(event, RunStarted)]
    assert started.num_distinct_tokens == started.num_train_tokens
    (finished,) = [event for event in events if isinstance(event, RunFinished)]

    loss = compare_run(run).report.tasks[0].figure("loss")
    assert loss.after.value == pytest.approx(finished.best_eval_loss, rel=1e-5)
    assert loss.before.value != loss.after.value


def test_what_a_config_tells_of_its_base_is_said_before_it_is_loaded(tiny_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"vision_config": {"hidden_size": 8}}))
    notes = check_data_or_recipe(str(write_task(tmp_path, model)), overrides=[], environment={}).notes
    assert sum("takes pictures, too: only its text part is trained" in note for note in notes) == 1
