"""Answers and scores of many prompts, against transformers' own `generate` and lm-evaluation-harness.

`python generation.py tokens|agents|choices tau_airline_sessions.jsonl --catalog tau_airline_tools.json` and
`python generation.py plain alpaca_en_demo.json`:

- tokens: what the prompts of all calls run, against the distinct tokens among them
- agents: a few new tokens after each call, against `generate` in batches of 16, sorted by length
- choices: the tools' names by log-probability, against HFLM of lm-eval, which must be installed
- plain: answers of SmolLM2 to single questions, against `generate` in batches of 16 and of 1

The sides run in turn in one process. Times are processor seconds, medians of the rounds; reading and rendering are left
out. Agents' prompts are rendered as in train_peers.py, for a random model of 5 million weights.
"""

import argparse
import datetime
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from train_side import prepare
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from tunelab.batching.forest import common_prefix, sort_key
from tunelab.conversations import Message
from tunelab.generation.batches import along_trie
from tunelab.generation.completion import Sampling
from tunelab.generation.generate import generate
from tunelab.generation.score_completions import score_completions
from tunelab.generation.trie import Trie
from tunelab.models.config import ModelConfig
from tunelab.models.load_model import load_model
from tunelab.models.locate_model import locate_model
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load_renderer import load_renderer

Prompts = list[np.ndarray]


def main() -> None:
    """Parse the command line and run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("tokens", "agents", "choices", "plain"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--catalog", type=Path, help="tool definitions of the sessions")
    parser.add_argument("--rows", type=int, help="only the first so many prompts; default: all, of plain 100")
    parser.add_argument("--new-tokens", type=int, help="of each answer; default: 8, of plain 64")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[16], help="of transformers' side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    now = datetime.datetime.now().astimezone().isoformat(timespec="minutes")
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{now}, {arguments.threads} threads, load {os.getloadavg()[0]:.1f}, {versions}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.part == "plain":
            plain(arguments)
        else:
            network, prompts = agents_network(arguments, Path(folder))
            {"tokens": tokens, "agents": agents, "choices": choices}[arguments.part](
                arguments, network, prompts, Path(folder) / "base"
            )


def agents_network(arguments: argparse.Namespace, folder: Path) -> tuple[PreTrainedModel, Prompts]:
    """Return a random model and the prompts of the agents' calls."""
    job = {
        "work": "airline", "weights": "5M", "device": "cpu", "precision": "fp32", "data": str(arguments.data.resolve()),
        "catalog": str(arguments.catalog.resolve()), "rows": 8, "steps": 1, "seed": 42, "learning_rate": 2e-4,
    }  # fmt: skip
    ids = prepare(job, folder)["ids"]
    prompts = [np.array(prompt, dtype=np.int32) for prompt, _ in ids][: arguments.rows]
    network = AutoModelForCausalLM.from_pretrained(folder / "base").requires_grad_(False).eval()
    print(f"{len(prompts)} prompts of {sum(map(len, prompts)):,} tokens, {distinct(prompts):,} distinct", flush=True)
    return network, prompts


def distinct(paths: Prompts) -> int:
    """Return the nodes of the trie of some paths."""
    ids = sorted(paths, key=sort_key)
    return sum(map(len, ids)) - sum(common_prefix(one, other) for one, other in pairwise(ids))


def tokens(arguments: argparse.Namespace, network: PreTrainedModel, prompts: Prompts, _: Path) -> None:
    """Print how many tokens the prompts run."""
    trie = Trie(network, None)
    batches = along_trie(prompts, most_rows=24, passes=arguments.new_tokens or 8)
    started = time.process_time()
    for batch in batches:
        trie.run([prompts[row] for row in batch], [len(prompts[row]) - 1 for row in batch])
    took, ratio = time.process_time() - started, trie.num_run / distinct(prompts)
    print(f"{trie.num_run:,} tokens run in {len(batches)} passes, {ratio:.3f} x distinct, {took:.1f} s")


def agents(arguments: argparse.Namespace, network: PreTrainedModel, prompts: Prompts, _: Path) -> None:
    """Compare answers of a few tokens."""
    compare_answers(arguments, network, prompts, new_tokens=arguments.new_tokens or 8, stop_ids=[])


def plain(arguments: argparse.Namespace) -> None:
    """Compare answers of a real model to questions that share nothing but the system prompt."""
    folder = locate_model(ModelConfig(base_model="smollm2"), base=Path())
    network = load_model(folder, ModelConfig(base_model="smollm2"), precision="fp32").network
    renderer = load_renderer(folder, RenderingConfig(), base=Path())
    rows = json.loads(arguments.data.read_text(encoding="utf-8"))[: arguments.rows or 100]
    texts = ["\n\n".join(filter(None, (row["instruction"], row["input"]))) for row in rows]
    prompts = [renderer.prompt_ids([Message(role="user", content=text)]) for text in texts]
    print(f"{len(prompts)} prompts of {sum(map(len, prompts)):,} tokens, {distinct(prompts):,} distinct", flush=True)
    stop_ids = [int(each) for each in renderer.stop_ids]
    compare_answers(arguments, network, prompts, new_tokens=arguments.new_tokens or 64, stop_ids=stop_ids)


def compare_answers(
    arguments: argparse.Namespace, network: PreTrainedModel, prompts: Prompts, *, new_tokens: int, stop_ids: list[int]
) -> None:
    """Print times of both sides, and whether they answer alike."""
    sampling = Sampling(max_new_tokens=new_tokens)

    def ours() -> list[list[int]]:
        found = generate(network, None, prompts, sampling=sampling, stop_ids=stop_ids)
        return [list(each.token_ids) for each in found]

    peers = {
        f"batches of {size}": lambda size=size: stock_answers(network, prompts, size, new_tokens, stop_ids)
        for size in arguments.batch_sizes
    }
    results = timed(arguments, {"tunelab": ours, **peers})
    for name in peers:
        gaps = [
            first_gap(network, prompt, one, other)
            for prompt, one, other in zip(prompts, results["tunelab"], results[name], strict=True)
            if one != other
        ]
        largest = f"; largest gap between the two logits: {max(gaps):.1e}" if gaps else ""
        print(f"{len(prompts) - len(gaps)} of {len(prompts)} answers equal those of {name}{largest}")


def stock_answers(
    network: PreTrainedModel, prompts: Prompts, size: int, new_tokens: int, stop_ids: list[int]
) -> list[list[int]]:
    """Return the greedy answers of transformers, similar lengths together."""
    order = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))
    answers: dict[int, list[int]] = {}
    for at in range(0, len(order), size):
        rows = order[at : at + size]
        longest = len(prompts[rows[0]])
        ids, mask = torch.zeros(2, len(rows), longest, dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, longest - len(prompts[row]) :] = torch.from_numpy(prompts[row])
            mask[place, longest - len(prompts[row]) :] = 1
        network.generation_config.eos_token_id = stop_ids or None
        written = network.generate(
            ids, attention_mask=mask, do_sample=False, max_new_tokens=new_tokens, pad_token_id=0
        )[:, longest:].tolist()
        for row, answer in zip(rows, written, strict=True):
            ends = [answer.index(stop) for stop in stop_ids if stop in answer]
            answers[row] = answer[: min(ends)] if ends else answer
    return [answers[row] for row in range(len(prompts))]


def first_gap(network: PreTrainedModel, prompt: np.ndarray, one: list[int], other: list[int]) -> float:
    """Return by how much the logits of the first tokens in which two answers differ are apart."""
    same = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if same is None:
        return float("inf")  # one of them stopped
    ids = torch.from_numpy(np.concatenate([prompt, one[:same]]).astype(np.int64))[None]
    with torch.inference_mode():
        logits = network(ids, logits_to_keep=1).logits[0, -1]
    return abs(float(logits[one[same]] - logits[other[same]]))


def choices(arguments: argparse.Namespace, network: PreTrainedModel, prompts: Prompts, base: Path) -> None:
    """Compare the log-probabilities of the tools' names, the token that ends a turn after each."""
    from lm_eval.models.huggingface import HFLM

    tokenizer = AutoTokenizer.from_pretrained(base)
    names = [tool["function"]["name"] for tool in json.loads(arguments.catalog.read_text(encoding="utf-8"))]
    given = [np.array([*tokenizer.encode(name), tokenizer.eos_token_id], dtype=np.int32) for name in names]
    harness = HFLM(pretrained=network, tokenizer=tokenizer, batch_size=arguments.batch_sizes[0], max_length=32_768)
    requests = [
        ((f"{row}", name), prompt.tolist(), choice.tolist())
        for row, prompt in enumerate(prompts)
        for name, choice in zip(names, given, strict=True)
    ]

    def theirs() -> np.ndarray:
        scores = harness._loglikelihood_tokens(requests, disable_tqdm=True)
        return np.array([score for score, _ in scores]).reshape(len(prompts), len(given))

    results = timed(
        arguments,
        {"tunelab": lambda: score_completions(network, None, prompts, [given] * len(prompts)), "lm-eval": theirs},
    )
    ours, asked = results["tunelab"], sum(len(prompt) + len(choice) for _, prompt, choice in requests)
    print(f"{ours.num_tokens_run:,} tokens run for {len(given)} names, of {asked:,}")
    print(f"largest difference: {np.abs(np.array(ours.log_probs) - results['lm-eval']).max():.1e} nats")


def timed(arguments: argparse.Namespace, sides: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Run the sides in turn; print their processor time and return what each gave the last time."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    results = {}
    for _ in range(arguments.rounds):
        for name, side in sides.items():
            started = time.process_time()
            results[name] = side()
            times[name].append(time.process_time() - started)
        print("  ".join(f"{name} {spent[-1]:.1f} s" for name, spent in times.items()), flush=True)
    _print_medians(times)
    return results


def _print_medians(times: dict[str, Sequence[float]]) -> None:
    medians = {name: statistics.median(spent) for name, spent in times.items()}
    ours = medians.pop("tunelab")
    ratios = ", ".join(f"{name} {spent:.1f} s ({spent / ours:.2f} x)" for name, spent in medians.items())
    print(f"medians: tunelab {ours:.1f} s, {ratios}; load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
