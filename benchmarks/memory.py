"""What a step is expected to hold in memory against what the process grows by, over models, rows and settings.

`python benchmarks/memory.py`: each case trains two steps of random rows in a process of its own. Growth counts from
the moment at which the libraries are imported, before any weight is loaded, to the peak.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MODELS: dict[str, dict[str, Any]] = {
    "llama 5M": {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 3},
    "llama 40M": {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 10, "num_attention_heads": 8},
    "qwen3 25M": {
        "hidden_size": 384,
        "intermediate_size": 1152,
        "num_hidden_layers": 8,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 64,
    },
    "gpt2 14M": {"n_embd": 384, "n_layer": 6, "n_head": 6, "n_positions": 8192},
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Rows of a step: all begin with `shared` equal tokens and go on with `own` others, the last `trained` trained."""

    model: str
    rows: int
    shared: int
    own: int
    trained: int
    micro_batch_tokens: int = 1_000_000
    gradient_checkpointing: bool = False
    vocab_size: int = 8192


CASES = [
    Case(model="llama 5M", rows=32, shared=0, own=256, trained=200),
    Case(model="llama 5M", rows=16, shared=2048, own=512, trained=100, micro_batch_tokens=6144),
    Case(model="llama 40M", rows=8, shared=0, own=256, trained=200),
    Case(model="llama 40M", rows=24, shared=0, own=256, trained=200),
    Case(model="llama 40M", rows=24, shared=0, own=256, trained=20),
    Case(model="llama 40M", rows=16, shared=2048, own=512, trained=100, micro_batch_tokens=6144),
    Case(model="llama 40M", rows=24, shared=0, own=256, trained=200, gradient_checkpointing=True),
    Case(model="llama 40M", rows=8, shared=0, own=256, trained=200, vocab_size=64_000),
    Case(model="qwen3 25M", rows=16, shared=0, own=512, trained=100),
    Case(model="gpt2 14M", rows=32, shared=0, own=256, trained=100),
]


def main() -> None:
    """Run the cases and print the table; with a case and a folder as arguments, run that one and print its bytes."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(Case(**json.loads(sys.argv[1])), Path(sys.argv[2]))))
        return
    print(f"{'model':10} {'rows x (shared + own), trained':42} {'estimate':>12} {'measured':>12} {'ratio':>6}")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            _make(case, Path(folder) / "base")
            command = [sys.executable, __file__, json.dumps(asdict(case)), folder]
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        result = json.loads(done.stdout.splitlines()[-1])
        expected, grown = result["estimate"] / 2**20, result["growth"] / 2**20
        rows = f"{case.rows} x ({case.shared} + {case.own}), {case.trained}"
        rows += ", recomputed" * case.gradient_checkpointing + f", {case.vocab_size} words" * (case.vocab_size != 8192)
        ratio = expected / grown
        print(f"{case.model:10} {rows:42} {expected:8,.0f} MiB {grown:8,.0f} MiB {ratio:6.2f}", flush=True)


def measure(case: Case, folder: Path) -> dict[str, float]:
    """Train two steps; return the estimate and the growth, in bytes."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from tunelab.adapters.attach import attach
    from tunelab.adapters.config import LoraConfig
    from tunelab.batching.config import BatchingConfig
    from tunelab.batching.schedule import Step
    from tunelab.batching.step_plan import plan_step
    from tunelab.events import EventLog
    from tunelab.models.config import ModelConfig
    from tunelab.models.estimate import estimate_step
    from tunelab.models.load_model import load_model
    from tunelab.models.memory import sizes_of
    from tunelab.training.config import TrainingConfig
    from tunelab.training.loop import fit

    class Same:
        """Every step sees every row."""

        total_steps = 2

        def step(self, index: int) -> Step:
            return Step(epoch=0.0, ends_epoch=False, batches=(tuple(range(case.rows)),))

    AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", hidden_size=64, num_hidden_layers=1, vocab_size=64))
    sequences = _rows(case)
    before = _resident_bytes()
    model = load_model(folder / "base", ModelConfig(base_model="base"))
    adapter = attach(model.network, LoraConfig(r=16), init_ids=[], base_model="base", seed=0)
    plan = plan_step(sequences, micro_batch_tokens=case.micro_batch_tokens)
    estimate = estimate_step(
        sizes_of(model.network.config),
        base_bytes=sum(weight.nbytes for weight in model.network.parameters() if not weight.requires_grad),
        num_trainable=sum(weight.numel() for weight in adapter.named_parameters().values()),
        bytes_per_weight=model.dtype.itemsize,
        tokens=len(plan.root_ids_R) + max(forest.num_nodes for forest in plan.forests),
        trained_tokens=max(len(forest.targets_M) for forest in plan.forests),
        gradient_checkpointing=case.gradient_checkpointing,
    )
    fit(
        model,
        adapter,
        sequences,
        Same(),
        config=TrainingConfig(num_training_steps=2, gradient_checkpointing=case.gradient_checkpointing),
        batching=BatchingConfig(micro_batch_tokens=case.micro_batch_tokens),
        precision="fp32",
        checkpoints=folder / "checkpoints",
        fingerprint="memory",
        events=EventLog(folder / "events.jsonl", []),
        score=None,
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"estimate": float(estimate.total_bytes), "growth": float(peak - before)}


def _make(case: Case, folder: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    kind = case.model.split()[0]
    config = AutoConfig.for_model(kind, vocab_size=case.vocab_size, **MODELS[case.model])
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)


def _rows(case: Case) -> Sequence[Any]:
    import numpy as np

    from tunelab.rendering.rendered import Rendered
    from tunelab.sources.row import Origin

    generator = np.random.default_rng(0)
    shared = generator.integers(0, case.vocab_size, case.shared)
    rows = []
    for number in range(case.rows):
        ids = np.concatenate([shared, generator.integers(0, case.vocab_size, case.own)]).astype(np.int32)
        prompt, completion = ids[: -case.trained], ids[-case.trained :]
        origin = Origin(path="random", line=number + 1)
        rows.append(
            Rendered(prompt_ids=prompt, completion_ids=completion, origin=origin, conversation=number, turn=0, group="")
        )
    return rows


def _resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    main()
