"""SmolLM2-135M-Instruct out of its package: the file that is known, the model that transformers makes of it."""

from pathlib import Path

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from train_task import row, write_lines
from tunelab.files import sha256_file
from tunelab.flows.chat import open_chat
from tunelab.flows.check import check_data_or_recipe
from tunelab.flows.compare import compare_run
from tunelab.flows.subject import open_run
from tunelab.flows.train import train
from tunelab.models.config import ModelConfig
from tunelab.models.gguf.packaged import PACKAGED_MODELS
from tunelab.models.locate_model import locate_model
from tunelab.recipes import resolve_recipe
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load_renderer import load_renderer
from tunelab.workspace import Workspace

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

MESSAGES = [{"role": "user", "content": "Don't guess: is the café in 日本 open? <|im_end|>"}]
# As llama.cpp 0.3.36 splits it: digit by digit, each a token, as the model was trained.
DIGITS = [("a1b2 12345", ["a", "1", "b", "2", "Ġ", "1", "2", "3", "4", "5"]), ("½ m²", ["Â½", "Ġm", "Â²"])]
RECIPE = """model: {base_model: smollm2}
data: {train_files: train.jsonl, eval_files: test.jsonl, max_length: 128}
lora: {r: 4, target_modules: attention}
training: {per_device_train_batch_size: 2, num_training_steps: 2, num_warmup_steps: 0, learning_rate: 1.0e-3}
"""


def test_the_file_in_the_package_is_the_known_one(smollm2_gguf: Path) -> None:
    assert sha256_file(smollm2_gguf) == PACKAGED_MODELS["smollm2"].sha256


@pytest.fixture(scope="module")
def folder(real_cache: Path) -> Path:
    return locate_model(ModelConfig(base_model="smollm2"), base=Path())


@pytest.mark.slow
def test_what_is_unpacked_is_what_transformers_reads_from_the_file(folder: Path, smollm2_gguf: Path) -> None:
    source = {"gguf_file": smollm2_gguf.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(smollm2_gguf.parent, **source)
    ids = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_dict=True)["input_ids"]
    renderer = load_renderer(folder, RenderingConfig(), base=folder)
    stock = AutoTokenizer.from_pretrained(folder)
    assert stock.special_tokens_map == tokenizer.special_tokens_map
    assert stock.get_added_vocab() == tokenizer.get_added_vocab()
    assert stock.chat_template == tokenizer.chat_template
    assert stock.apply_chat_template(MESSAGES, add_generation_prompt=True, return_dict=True)["input_ids"] == ids
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    direct = AutoModelForCausalLM.from_pretrained(
        smollm2_gguf.parent, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16, **source
    ).float()
    with torch.no_grad():
        assert torch.equal(network(torch.tensor([ids])).logits, direct(torch.tensor([ids])).logits)
    assert set(renderer.stop_ids) >= {tokenizer.convert_tokens_to_ids("<|im_end|>")}


@pytest.mark.slow
@pytest.mark.parametrize(("text", "tokens"), DIGITS)
def test_text_is_split_as_the_model_was_trained(text: str, tokens: list[str], folder: Path) -> None:
    stock = AutoTokenizer.from_pretrained(folder)
    assert stock.convert_ids_to_tokens(stock(text)["input_ids"]) == tokens


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_it_is_checked_trained_compared_and_talked_to_and_stock_peft_loads_the_adapter(
    folder: Path, tmp_path: Path
) -> None:
    write_lines(tmp_path / "train.jsonl", [row(f"Say {n}.", f"{n}!") for n in range(12)])
    write_lines(tmp_path / "test.jsonl", [row("Say 99.", "99!")])
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    assert check_data_or_recipe(str(file), environment={}).model is not None
    run = train(resolve_recipe(file, environment={}), Workspace(path=tmp_path)).run
    assert compare_run(run, num_examples=1, max_new_tokens=4).report.tasks[0].figure("loss").after.value is not None
    assert "".join(open_chat("smollm2", max_new_tokens=8).reply("What is the capital of France?"))
    opened = open_run(run)
    ids = torch.tensor([[1, 4093, 198, 2]])
    stock = peft.PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), run.adapter
    )
    with torch.no_grad():
        assert torch.allclose(opened.model.network(ids).logits, stock(input_ids=ids).logits, atol=1e-4)
