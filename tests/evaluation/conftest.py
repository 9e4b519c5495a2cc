"""A finished run: a small random model with the tokenizer and template of nano, and an adapter over it."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tunelab.adapters.attach import attach
from tunelab.files import write_file
from tunelab.models.load_model import load_model
from tunelab.recipes import Recipe, to_yaml
from tunelab.registry import Manifest
from tunelab.rendering.load_renderer import load_renderer
from tunelab.starter import NANO_FOLDER
from tunelab.workspace import Run

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    for name in _TOKENIZER:
        (folder / name).write_bytes((NANO_FOLDER / name).read_bytes())
    nano = json.loads((NANO_FOLDER / "config.json").read_text())
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=nano["vocab_size"],
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.2,
        bos_token_id=nano.get("bos_token_id"),
        eos_token_id=nano.get("eos_token_id"),
        pad_token_id=nano.get("pad_token_id"),
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def make_run(tmp_path: Path, model_folder: Path):
    def make(*, trained: bool = True, **data: object) -> Run:
        rows = [
            {
                "messages": [
                    {"role": "user", "content": f"question {row}"},
                    {"role": "assistant", "content": f"answer {row}"},
                ]
            }
            for row in range(40)
        ]
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        settings = {"train_files": ["rows.jsonl"], "data_dir": str(tmp_path), "eval_fraction": 0.3, "max_length": 128}
        recipe = Recipe.model_validate(
            {
                "model": {"base_model": str(model_folder), "device_map": "cpu"},
                "data": settings | data,
                "lora": {"r": 2},
                "evaluation": {"num_examples": 6, "max_new_tokens": 5},
            }
        )
        run = Run(path=tmp_path / "runs" / "one")
        write_file(run.recipe_file, to_yaml(recipe))
        network = load_model(model_folder, recipe.model).network
        adapter = attach(
            network, recipe.adapter, init_ids=np.array([], dtype=np.int32), base_model=str(model_folder), seed=1
        )
        if trained:
            with torch.no_grad():
                for weight in adapter.named_parameters().values():
                    weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(4)) * 0.3)
        run.adapter.mkdir()
        adapter.save(run.adapter)
        renderer = load_renderer(model_folder, recipe.data, base=run.path)
        run.write_manifest(
            Manifest(base_model="base", template_sha256=renderer.template_hash, rendered_on=date.today())
        )
        return run

    return make
