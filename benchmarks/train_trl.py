"""tunelab's training loop against TRL's SFTTrainer, on the same rows of a real file.

`python train_trl.py alpaca alpaca_en_demo.json`, `glaive glaive_toolcall_en_demo.json` or
`airline tau_airline_sessions.jsonl --catalog tau_airline_tools.json`.

Real tokens (prompt and completion, never padding) per second of training steps; model loading and tokenization are
left out on both sides, and told apart as the time of the whole process. The sides run in turn, each in a process of its
own, with the same explicit number of threads; the ratio is that of the medians.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "padded": ("shuffled", {}),
    "padded, by length": ("by length", {}),
    "padded, by length, plain AdamW": ("by length", {"optim": "adamw_torch"}),
    "padded, by length, worker": ("by length", {"dataloader_num_workers": 1}),
    "padded, by length, eager": ("by length", {"attn_implementation": "eager"}),
    "padded, by length, compiled": ("by length", {"torch_compile": True}),
    "padding_free": ("shuffled", {"padding_free": True, "max_length": None}),
    "padding_free, by length": ("by length", {"padding_free": True, "max_length": None}),
    "packed": ("shuffled", {"packing": True, "per_device_train_batch_size": 1}),
    "one by one": ("as they stand", {"per_device_train_batch_size": 1}),
}
"""Name -> how rows meet, and what differs from the settings in train_side.py."""
BEST = {"alpaca": "padded, by length", "glaive": "one by one", "airline": "one by one"}
"""By work; where sessions stay together nothing is gained by length, and one row at a time is never padded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One side, once."""

    tokens_per_s: float
    process_s: float
    peak_mib: float
    losses: list[float]
    grad_norms: list[float]


def main() -> None:
    """Parse the command line, run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=BEST)
    parser.add_argument("data", type=Path, help="the file of that name in the docstring")
    parser.add_argument("--catalog", type=Path, help="tool definitions of the sessions")
    parser.add_argument("--weights", default="20M", choices=("5M", "20M", "40M"))
    parser.add_argument("--unshared", action="store_true", help="tunelab with sharing off takes the place of TRL")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=30, help="optimizer steps of each side in each round")
    parser.add_argument("--skip", type=int, default=3, help="first steps that are not measured")
    parser.add_argument("--rows", type=int, default=8, help="rows in an optimizer step")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="seconds of the processor instead of the clock: with one thread, ratios that hold on a busy machine",
    )
    parser.add_argument("--trl", choices=SETTINGS, help="setting of TRL; default: its best for this work")
    parser.add_argument("--explore", action="store_true", help="run each setting of TRL once, and nothing else")
    arguments = parser.parse_args()
    if not arguments.data.is_file():
        sys.exit(f"{arguments.data}: no such file. This benchmark makes up nothing.")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, Path(folder))
        print(bench.facts(), flush=True)
        bench.run("prepare", {})
        if arguments.explore:
            bench.explore()
        else:
            bench.compare(arguments.trl or BEST[arguments.work])


class Bench:
    """Runs the sides and prints what came out."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder = arguments, folder

    def facts(self) -> str:
        """Return what the figures depend on."""
        names = ("torch", "transformers", "peft", "trl", "accelerate")
        versions = ", ".join(f"{name} {version(name)}" for name in names)
        now = datetime.datetime.now().astimezone().isoformat(timespec="minutes")
        wish = self.arguments
        return (
            f"{now}, {os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}, {versions}\n"
            f"{wish.threads} threads, {wish.rows} rows per step, {wish.steps} steps ({wish.skip} not measured), fp32, "
            f"LoRA rank 16 on all-linear, {wish.work}, Llama of {wish.weights} weights"
            + (", processor time" if wish.processor_time else "")
        )

    def compare(self, name: str) -> None:
        """Run both sides in turn; print each round, the ratio of the medians and how far the losses differ."""
        order, setting = SETTINGS[name]
        mine, theirs = [], []
        other_side, other_name = ("tunelab", "unshared") if self.arguments.unshared else ("trl", "TRL")
        print(f"\n{other_name}{'' if self.arguments.unshared else ': ' + name}; both sides see the rows {order}")
        print(f"{'':10}{'tunelab':>40}{other_name:>40}{'ratio':>8}")
        for round_ in range(1, self.arguments.rounds + 1):
            mine.append(self.measure("tunelab", order, {}))
            theirs.append(self.measure(other_side, order, setting, share=False))
            ours, other = mine[-1], theirs[-1]
            ratio = ours.tokens_per_s / other.tokens_per_s
            print(f"round {round_:<4}{_figures(ours)}{_figures(other)}{ratio:8.2f}", flush=True)
        ours_per_s = statistics.median(each.tokens_per_s for each in mine)
        other_per_s = statistics.median(each.tokens_per_s for each in theirs)
        print(f"medians: {ours_per_s:,.0f} and {other_per_s:,.0f} tokens/s, ratio {ours_per_s / other_per_s:.2f}")
        memory = [statistics.median(each.peak_mib for each in side) for side in (mine, theirs)]
        print(
            f"peak memory of the process: {memory[0]:,.0f} and {memory[1]:,.0f} MiB, ratio {memory[1] / memory[0]:.2f}"
        )
        if not setting.get("packing"):
            _print_losses(mine[0], theirs[0])

    def explore(self) -> None:
        """Run each setting of TRL once."""
        for name, (order, setting) in SETTINGS.items():
            try:
                print(f"{name:34}{_figures(self.measure('trl', order, setting))}", flush=True)
            except subprocess.CalledProcessError as error:
                print(f"{name:34}failed: {error.stderr.strip().splitlines()[-1]}", flush=True)

    def measure(self, side: str, order: str, setting: dict[str, Any], *, share: bool = True) -> Measured:
        """Run one side once."""
        started = time.perf_counter()
        result = self.run(side, {"order": order, "setting": setting, "share": share})
        process_s = time.perf_counter() - started
        skip, stamps = self.arguments.skip, result["stamps"]
        clock = 1 if self.arguments.processor_time else 0
        return Measured(
            tokens_per_s=sum(result["tokens"][skip:]) / (stamps[-1][clock] - stamps[skip - 1][clock]),
            process_s=process_s,
            peak_mib=result["peak_bytes"] / 2**20,
            losses=result["losses"],
            grad_norms=result["grad_norms"],
        )

    def run(self, part: str, wish: dict[str, Any]) -> dict[str, Any]:
        """Run one part in a process of its own and return what it wrote."""
        threads = str(self.arguments.threads)
        with tempfile.TemporaryDirectory() as run:
            job = wish | {
                "work": self.arguments.work,
                "weights": self.arguments.weights,
                "data": str(self.arguments.data.resolve()),
                "catalog": str(self.arguments.catalog.resolve()) if self.arguments.catalog else None,
                "threads": self.arguments.threads,
                "rows": self.arguments.rows,
                "steps": self.arguments.steps,
                "learning_rate": 2e-4,
                "seed": 42,
                "run": run,
            }
            file = self.folder / f"{part}.json"
            file.write_text(json.dumps(job))
            side = Path(__file__).with_name("train_side.py")
            environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
            command = [sys.executable, str(side), part, str(file)]
            subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            result: dict[str, Any] = json.loads(file.with_suffix(".result.json").read_text())
            return result


def _figures(measured: Measured) -> str:
    return f"{measured.tokens_per_s:10,.0f} tokens/s {measured.peak_mib:6,.0f} MiB {measured.process_s:5.1f} s"


def _print_losses(ours: Measured, other: Measured) -> None:
    print("\nloss per step, on the same rows in the same order")
    print(f"{'step':>6}{'tunelab':>14}{'other':>14}{'difference':>14}")
    pairs: Sequence[tuple[float, float]] = list(zip(ours.losses, other.losses, strict=True))
    for step, (one, two) in enumerate(pairs, start=1):
        print(f"{step:6}{one:14.6f}{two:14.6f}{one - two:14.1e}")
    loss = max(abs(one - two) for one, two in pairs)
    norms = max(abs(one - two) / two for one, two in zip(ours.grad_norms, other.grad_norms, strict=True))
    print(f"largest difference {loss:.1e} (gradient norms: {norms:.1e} relative)")


if __name__ == "__main__":
    main()
