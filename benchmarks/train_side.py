"""One side of `train_peers.py`, in a process of its own: `python train_side.py {prepare,tunelab,trl} JOB.json`.

Writes a JSON file next to the job: the loss of each optimizer step and the moment it was logged
(wall clock and processor seconds).
"""

import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from trainer_settings import trainer_settings

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SHAPES: dict[str, dict[str, Any]] = {
    "5M": {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 3},
    "20M": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 6},
    "40M": {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 10, "num_attention_heads": 8},
    "smollm2-135M": {
        "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
        "num_key_value_heads": 3, "vocab_size": 49_152, "tie_word_embeddings": True,
    },
    "qwen3-0.6B": {
        "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
        "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151_936,
        "tie_word_embeddings": True,
    },
    "llama-8B": {
        "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128_256, "rope_parameters": {"rope_type": "default", "rope_theta": 5e5},
    },
}  # fmt: skip
"""Llama-type models if nothing else is said, with 8,192 words in and out: of about so many weights."""


def main() -> None:
    """Play the part that the first argument names, with the job in the second one's file."""
    part, job_file = sys.argv[1], Path(sys.argv[2])
    job = json.loads(job_file.read_text())
    os.environ |= {"OMP_NUM_THREADS": str(job["threads"]), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    import torch

    torch.set_num_threads(job["threads"])
    result = {"prepare": prepare, "tunelab": train_with_tunelab, "trl": train_with_trl}[part](job, job_file.parent)
    job_file.with_suffix(".result.json").write_text(json.dumps(result))


def prepare(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the base model, render the data, fix the order of the rows; return the token ids and the orders."""
    num_weights = _make_base_model(job, folder / "base")
    _recipe_file(job, folder).write_text(_recipe(job, folder))
    sequences = _rendered(job, folder)
    if job["work"] == "alpaca":
        _refuse_if_rendered_otherwise(job, folder / "base", sequences)
    return {
        "ids": [[each.prompt_ids.tolist(), each.completion_ids.tolist()] for each in sequences],
        "conversations": [each.conversation for each in sequences],
        "orders": _orders(job, [each.num_tokens for each in sequences]),
        "num_weights": num_weights,
    }


def train_with_tunelab(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train with tunelab's own loop: its reading, rendering, model, adapter, forests and events."""
    from tunelab.adapters.attach import attach
    from tunelab.batching.config import BatchingConfig
    from tunelab.batching.schedule import Step
    from tunelab.events import AnyEvent, EventLog, StepDone
    from tunelab.models.config import ModelConfig
    from tunelab.models.load_model import load_model
    from tunelab.recipes import resolve_recipe
    from tunelab.training.loop import fit

    recipe = resolve_recipe(_recipe_file(job, folder)).recipe
    sequences = _rendered(job, folder)
    prepared = json.loads((folder / "prepare.result.json").read_text())
    if [[each.prompt_ids.tolist(), each.completion_ids.tolist()] for each in sequences] != prepared["ids"]:
        raise SystemExit("tunelab rendered the rows differently the second time")
    rows = prepared["orders"][job["order"]]

    class FixedOrder:
        """Takes the place of tunelab's schedule, so that both sides see the same rows in the same steps."""

        total_steps = job["steps"]

        def step(self, index: int) -> Step:
            return Step(epoch=0.0, ends_epoch=False, batches=(tuple(rows[index]),))

    model_config = ModelConfig(base_model=str(folder / "base"), device_map=job["device"])
    model = load_model(folder / "base", model_config, precision=job["precision"])
    config = recipe.adapter
    adapter = attach(model.network, config, init_ids=[], base_model="base", seed=job["seed"])
    stamps: list[tuple[float, float]] = []
    steps: list[StepDone] = []

    class Stamped(EventLog):
        """Takes the time in the process that trains: a listener hears of a step a little later."""

        def emit(self, event: AnyEvent) -> None:
            if isinstance(event, StepDone):
                stamps.append((time.perf_counter(), time.process_time()))
                steps.append(event)
            super().emit(event)

    fit(
        model,
        adapter,
        sequences,
        FixedOrder(),
        config=recipe.training.model_copy(update={"gradient_checkpointing": job["gradient_checkpointing"]}),
        batching=BatchingConfig(share_prefixes=job["share"], micro_batch_tokens=job["micro_batch_tokens"]),
        precision=job["precision"],
        checkpoints=Path(job["run"]) / "checkpoints",
        fingerprint="benchmark",
        events=Stamped(Path(job["run"]) / "events.jsonl"),
        score=None,
    )
    return {
        "stamps": stamps,
        "losses": [step.loss for step in steps],
        "grad_norms": [step.grad_norm for step in steps],
        "tokens": [step.real_tokens for step in steps],
        "distinct": [step.distinct_tokens for step in steps],
        "peak_bytes": _peak_bytes(job),
    }


def train_with_trl(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train with TRL's SFTTrainer and the setting named in the job."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer, PrinterCallback, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    setting = dict(job["setting"])
    prepared = json.loads((folder / "prepare.result.json").read_text())
    order = [row for rows in prepared["orders"][job["order"]] for row in rows]
    chosen = [prepared["ids"][row] for row in order]
    examples = [
        {"input_ids": prompt + completion, "completion_mask": [0] * len(prompt) + [1] * len(completion)}
        for prompt, completion in chosen
    ]
    stamps: list[tuple[float, float]] = []
    logs: list[dict[str, float]] = []

    class Note(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if "loss" in kwargs["logs"]:
                stamps.append((time.perf_counter(), time.process_time()))
                logs.append(dict(kwargs["logs"]))

    model_kwargs = {"dtype": _dtype(job), "attn_implementation": setting.pop("attn_implementation", "sdpa")}
    arguments = {
        **trainer_settings(job),
        "gradient_checkpointing": False,
        "max_length": max(map(len, (each["input_ids"] for each in examples))),  # nothing is cut
        "completion_only_loss": True,
        "train_sampling_strategy": "sequential",  # the rows are in the order of the job
        "model_init_kwargs": model_kwargs,
    }
    if setting.get("per_device_train_batch_size") == 1 and not setting.get("packing"):
        arguments["gradient_accumulation_steps"] = job["rows"]
    trainer = SFTTrainer(
        model=str(folder / "base"),
        args=SFTConfig(**(arguments | setting)),
        train_dataset=Dataset.from_list(examples),
        processing_class=AutoTokenizer.from_pretrained(folder / "base"),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear"),
        callbacks=[Note()],
    )
    trainer.remove_callback(PrinterCallback)
    if setting.get("packing"):
        trainer.train()
        seen = [0, *(int(each["num_tokens"]) for each in logs)]  # counts padding, of which packed rows have none
        tokens = [after - before for before, after in pairwise(seen)]
    else:
        ids = [prompt + completion for prompt, completion in chosen]
        if [each["input_ids"] for each in trainer.train_dataset] != ids:
            raise SystemExit("TRL changed the token ids")
        trainer.train()
        tokens = [sum(map(len, ids[at : at + job["rows"]])) for at in range(0, len(ids), job["rows"])]
    return {
        "stamps": stamps,
        "losses": [each["loss"] for each in logs],
        "grad_norms": [each["grad_norm"] for each in logs],
        "tokens": tokens,
        "peak_bytes": _peak_bytes(job),
    }


def _peak_bytes(job: dict[str, Any]) -> int:
    """Return the peak of the process on a CPU, of what its tensors held on a GPU."""
    import torch

    if job["device"] == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _dtype(job: dict[str, Any]) -> str:
    return {"fp32": "float32", "bf16": "bfloat16"}[job["precision"]]


def _make_base_model(job: dict[str, Any], folder: Path) -> int:
    """Write a model of random weights, its tokenizer trained on the very data; return the number of weights."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=8192, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(_texts(json.loads(_as_json(Path(job["data"])))), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|im_end|>", chat_template=CHAT_TEMPLATE
    )
    fast.save_pretrained(folder)
    torch.manual_seed(job["seed"])
    shape = {"model_type": "llama", "vocab_size": 8192, **SHAPES[job["weights"]]}
    config = AutoConfig.for_model(
        **shape,
        max_position_embeddings=32_768,
        bos_token_id=None,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    with torch.device(job["device"]):
        network = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, _dtype(job)))
    network.save_pretrained(folder)
    return sum(each.numel() for each in network.parameters())


def _as_json(data: Path) -> str:
    text = data.read_text(encoding="utf-8")
    return text if text.startswith("[") else "[" + ",".join(text.splitlines()) + "]"


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a tree of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _recipe_file(job: dict[str, Any], folder: Path) -> Path:
    return folder / "recipe.yaml"


def _recipe(job: dict[str, Any], folder: Path) -> str:
    return f"""model: {{base_model: {json.dumps(str(folder / "base"))}}}
data:
  train_files: [{json.dumps(job["data"])}]
  eval_fraction: 0
  max_length: 32768
  tool_catalog: {json.dumps(job["catalog"])}
lora: {{r: 16, lora_alpha: 32, target_modules: all-linear}}
training:
  num_training_steps: {job["steps"]}
  per_device_train_batch_size: {job["rows"]}
  learning_rate: {job["learning_rate"]}
  eval_strategy: "no"
  save_steps: 100000
  seed: {job["seed"]}
"""


def _rendered(job: dict[str, Any], folder: Path) -> Sequence[Any]:
    from tunelab.dataset.gather import gather
    from tunelab.recipes import resolve_recipe
    from tunelab.rendering.load_renderer import load_renderer

    resolved = resolve_recipe(_recipe_file(job, folder))
    renderer = load_renderer(folder / "base", resolved.recipe.data, base=folder)
    return gather(
        resolved.anchored.data, base=resolved.base, seed=resolved.recipe.training.seed, renderer=renderer
    ).rendered_train.sequences


def _refuse_if_rendered_otherwise(job: dict[str, Any], base: Path, sequences: Sequence[Any]) -> None:
    """Compare tunelab's ids with those of transformers' own chat template, which is what TRL would apply."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = json.loads(Path(job["data"]).read_text(encoding="utf-8"))
    for each in sequences:
        row = rows[each.conversation]
        text = "\n\n".join(filter(None, (row["instruction"], row["input"])))
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": row["output"]}]
        whole = tokenizer.apply_chat_template(messages, return_dict=False)
        prompt = tokenizer.apply_chat_template(messages[:1], add_generation_prompt=True, return_dict=False)
        newline = tokenizer.encode("\n")  # comes after the end of the turn; nobody should learn to write it
        if each.prompt_ids.tolist() != prompt or [*each.prompt_ids, *each.completion_ids, *newline] != whole:
            raise SystemExit(f"row {each.conversation}: tunelab's ids are not those of transformers' chat template")


def _orders(job: dict[str, Any], lengths: Sequence[int]) -> dict[str, list[list[int]]]:
    """Return orders in which rows meet in optimizer steps: as given, at random, by length as transformers samples."""
    import torch
    from transformers.trainer_pt_utils import get_length_grouped_indices

    generator = torch.Generator().manual_seed(job["seed"])
    rows = job["rows"]
    orders = {
        "as given": list(range(len(lengths))),
        "shuffled": torch.randperm(len(lengths), generator=generator).tolist(),
        "by length": get_length_grouped_indices(list(lengths), rows, generator=generator),
    }
    found = {}
    for name, order in orders.items():
        steps = [order[at : at + rows] for at in range(0, len(order) - rows + 1, rows)]
        # group_by_length runs down from long to short; the first steps shall be a fair sample of all
        found[name] = [steps[at] for at in torch.randperm(len(steps), generator=generator).tolist()[: job["steps"]]]
    return found


if __name__ == "__main__":
    main()
