"""LLaMA-Factory's side of `train_peers.py`, in its own environment: `PYTHON train_llamafactory.py JOB.json`.

Measured is what `llamafactory-cli train` runs, `run_exp`: its loading and patching of model and tokenizer, its adapter,
collator (which pads to a multiple of 8), trainer and callbacks. Its rendering is left out, as on the other sides: the
rows come in as ids through its own `tokenized_path`, since its templates write tool calls differently. Plain
conversations, those of alpaca, are rendered by its template `chatml` as well, and refused if the ids differ.

Its loss is the sum over a step's trained tokens, divided by their number, however many rows it takes at a time
(transformers' `num_items_in_batch`). Nothing of tunelab is imported, as its environment has none.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from trainer_settings import trainer_settings

IGNORED = -100
"""Label of a token that is not trained."""


def main() -> None:
    """Train as the job in the first argument's file says; write a JSON file next to it."""
    job_file = Path(sys.argv[1])
    job = json.loads(job_file.read_text())
    os.environ |= {"OMP_NUM_THREADS": str(job["threads"]), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    import torch

    torch.set_num_threads(job["threads"])
    result = train_with_llamafactory(job, job_file.parent)
    job_file.with_suffix(".result.json").write_text(json.dumps(result))


def train_with_llamafactory(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train on the ids of the job; return the loss, gradient norm and moment of each optimizer step."""
    from datasets import Dataset, DatasetDict
    from llamafactory.train.tuner import run_exp
    from transformers import TrainerCallback

    setting = dict(job["setting"])
    prepared = json.loads((folder / "prepare.result.json").read_text())
    if job["work"] == "alpaca":
        _refuse_if_rendered_otherwise(job, folder / "base", prepared)
    steps = [[prepared["ids"][row] for row in rows] for rows in prepared["orders"][job["order"]]]
    if setting.get("neat_packing"):
        rows = [_packed(step) for step in steps]
    else:
        rows = [_row(prompt, completion) for step in steps for prompt, completion in step]
    tokenized = Path(job["run"]) / "tokenized"
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(tokenized)
    stamps: list[tuple[float, float]] = []
    logs: list[dict[str, float]] = []

    class Note(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            seen = kwargs["train_dataloader"].dataset
            if list(seen["input_ids"]) != [each["input_ids"] for each in rows]:
                raise SystemExit("LLaMA-Factory changed the token ids")
            if {str(each.dtype) for each in kwargs["model"].parameters()} != {"torch.float32"}:
                raise SystemExit("LLaMA-Factory does not compute in fp32")

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if "loss" in kwargs["logs"]:
                stamps.append((time.perf_counter(), time.process_time()))
                logs.append(dict(kwargs["logs"]))

    arguments = {
        "stage": "sft",
        "do_train": True,
        "model_name_or_path": str(folder / "base"),
        "template": "chatml",
        "dataset": "rows",  # must be named, and is not looked for where tokenized_path holds some
        "tokenized_path": str(tokenized),
        "cutoff_len": 32_768,  # nothing is cut
        "disable_shuffling": True,  # the rows are in the order of the job
        "finetuning_type": "lora",
        "lora_rank": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.0,
        "lora_target": "all",
        "flash_attn": "sdpa",
        "disable_gradient_checkpointing": True,
        **trainer_settings(job),
    }
    if setting.get("per_device_train_batch_size") == 1 and not setting.get("neat_packing"):
        arguments["gradient_accumulation_steps"] = job["rows"]
    run_exp(arguments | setting, callbacks=[Note()])
    return {
        "stamps": stamps,
        "losses": [each["loss"] for each in logs],
        "grad_norms": [each["grad_norm"] for each in logs],
        "tokens": [sum(len(prompt) + len(completion) for prompt, completion in step) for step in steps],
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _row(prompt: list[int], completion: list[int]) -> dict[str, list[int]]:
    ids = prompt + completion
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [IGNORED] * len(prompt) + completion}


def _packed(step: list[list[list[int]]]) -> dict[str, list[int]]:
    """Return a step's rows as one, as LLaMA-Factory's neat packing marks them: no row sees another.

    It would fill rows up to one length for all; so little padding is the best that packing can come to.
    """
    packed: dict[str, list[int]] = {"input_ids": [], "attention_mask": [], "position_ids": [], "labels": []}
    for number, (prompt, completion) in enumerate(step, start=1):
        length = len(prompt) + len(completion)
        packed["input_ids"] += prompt + completion
        packed["attention_mask"] += [number] * length
        packed["position_ids"] += range(length)
        packed["labels"] += [IGNORED] * len(prompt) + completion
    for name, filler in (("input_ids", 0), ("attention_mask", 0), ("position_ids", 0), ("labels", IGNORED)):
        packed[name] += [filler] * (-len(packed[name]) % 8)  # the collator would, but for the positions
    return packed


def _refuse_if_rendered_otherwise(job: dict[str, Any], base: Path, prepared: dict[str, Any]) -> None:
    """Compare the rows of the job with LLaMA-Factory's template, which trains the newline after an answer, too."""
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    template = get_template_and_fix_tokenizer(tokenizer, DataArguments(template="chatml"))
    newline = tokenizer.encode("\n", add_special_tokens=False)
    conversations = json.loads(Path(job["data"]).read_text(encoding="utf-8"))
    for number in (row for step in prepared["orders"][job["order"]] for row in step):
        place, (prompt, completion) = prepared["conversations"][number], prepared["ids"][number]
        row = conversations[place]
        text = "\n\n".join(filter(None, (row["instruction"], row["input"])))
        messages = [{"role": "user", "content": text}, {"role": "assistant", "content": row["output"]}]
        theirs = template.encode_oneturn(tokenizer, messages)
        if theirs != (prompt, completion + newline):
            raise SystemExit(f"row {place}: tunelab's ids are not those of LLaMA-Factory's template chatml")


if __name__ == "__main__":
    main()
