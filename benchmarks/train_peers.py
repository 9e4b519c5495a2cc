"""tunelab's training loop against that of TRL or LLaMA-Factory, on the same rows of a real file.

`python train_peers.py alpaca alpaca_en_demo.json`, `glaive glaive_toolcall_en_demo.json` or
`airline tau_airline_sessions.jsonl --catalog tau_airline_tools.json`; `--peer llamafactory --peer-python PYTHON`
for LLaMA-Factory, `--peer unshared` for tunelab itself with sharing off.

Real tokens (prompt and completion, never padding) per second of training steps; model loading and tokenization are
left out on both sides; they show in the time of the whole process. The sides run in turn, each in a process of its
own, with the same explicit number of threads; the ratio is that of the medians.

TRL comes with this project's own environment. LLaMA-Factory 0.9.5 requires older libraries, and so one of its own:
`python -m venv FOLDER && FOLDER/bin/pip install torch==2.13.0 llamafactory==0.9.5`, then
`--peer-python FOLDER/bin/python`.

On a GPU: `--device cuda --precision bf16 --weights qwen3-0.6B` (or llama-8B) `--setting fastest`, which tries each
setting of the peer first. Memory is then what tensors held. MFU is 4 FLOP per weight and token over the matrix pace of
the card in that precision, which `--peak-tflops` names: once of the tokens that are run, once of those they stand for.
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
from pathlib import Path
from typing import Any

from arithmetic import most_by_sharing
from peer_settings import BEST, FASTEST, NAMES, SETTINGS
from train_side import SHAPES

WORKS = ("alpaca", "glaive", "airline")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One side, once."""

    tokens_per_s: float
    process_s: float
    peak_mib: float
    losses: list[float]
    grad_norms: list[float]
    dedup: float
    """Tokens over tokens that were run; 1 for who runs them all."""


def main() -> None:
    """Parse the command line, run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("data", type=Path, help="the file of that name in the docstring")
    parser.add_argument("--catalog", type=Path, help="tool definitions of the sessions")
    parser.add_argument("--weights", default="20M", choices=SHAPES)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--peak-tflops", type=float, help="of the card in that precision: with it, MFU is printed")
    parser.add_argument("--peer", default="trl", choices=SETTINGS, help="unshared: tunelab with sharing off")
    parser.add_argument("--peer-python", type=Path, help="python of LLaMA-Factory's environment")
    parser.add_argument("--gradient-checkpointing", action="store_true", help="of tunelab alone: memory for time")
    parser.add_argument("--micro-batch-tokens", type=int, default=16_384, help="tunelab's budget")
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
    parser.add_argument("--setting", help="setting of the peer, or fastest: each is tried; default: its best on a CPU")
    parser.add_argument("--explore", action="store_true", help="run each setting of the peer once, and nothing else")
    arguments = parser.parse_args()
    name = _setting(arguments)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, Path(folder))
        print(bench.facts(), flush=True)
        try:
            bench.prepare()
            if arguments.explore:
                bench.explore()
            else:
                bench.compare(bench.fastest() if name == FASTEST else name)
        except SideError as error:
            sys.exit(str(error))


class SideError(Exception):
    """A side ended before its result; holds what it wrote as errors."""


class Bench:
    """Runs the sides and prints what came out."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder = arguments, folder
        self.prepared: dict[str, Any] = {}

    def prepare(self) -> None:
        """Make the model and render the rows."""
        self.prepared = self.run("prepare", {})

    def facts(self) -> str:
        """Return what the figures depend on."""
        names = ("torch", "transformers", "peft", "accelerate")
        versions = _versions(Path(sys.executable), (*names, "trl"))
        if self.arguments.peer == "llamafactory":
            theirs = _versions(self.arguments.peer_python, (*names, "llamafactory"))
            versions += f"\nLLaMA-Factory's environment: {theirs}"
        now = datetime.datetime.now().astimezone().isoformat(timespec="minutes")
        what = self.arguments
        return (
            f"{now}, {os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}, {versions}\n"
            f"{what.threads} threads, {what.rows} rows per step, {what.steps} steps ({what.skip} not measured), "
            f"{what.precision} on {_card() if what.device == 'cuda' else 'the CPU'}, LoRA rank 16 on all-linear, "
            f"{what.work}, {what.weights} weights" + (", processor time" if what.processor_time else "")
        )

    def compare(self, name: str) -> None:
        """Run both sides in turn; print each round, the ratio of the medians and how far the losses differ."""
        peer = self.arguments.peer
        order, setting = SETTINGS[peer][name]
        mine, theirs = [], []
        print(f"\n{NAMES[peer]}: {name}; both sides see the rows {order}")
        print(f"{'':10}{'tunelab':>40}{NAMES[peer]:>40}{'ratio':>8}")
        for round_ in range(1, self.arguments.rounds + 1):
            mine.append(self.measure("tunelab", order, {}))
            theirs.append(self.measure(peer, order, setting))
            ours, other = mine[-1], theirs[-1]
            ratio = ours.tokens_per_s / other.tokens_per_s
            print(f"round {round_:<4}{_figures(ours)}{_figures(other)}{ratio:8.2f}", flush=True)
        ours_per_s = statistics.median(each.tokens_per_s for each in mine)
        other_per_s = statistics.median(each.tokens_per_s for each in theirs)
        print(f"medians: {ours_per_s:,.0f} and {other_per_s:,.0f} tokens/s, ratio {ours_per_s / other_per_s:.2f}")
        dedup = mine[0].dedup
        print(f"sharing leaves 1 of {dedup:.2f} tokens to run; ratio / that = {ours_per_s / other_per_s / dedup:.2f}")
        ids = [prompt + completion for prompt, completion in self.prepared["ids"]]
        steps = [[ids[row] for row in rows] for rows in self.prepared["orders"][order][self.arguments.skip :]]
        print(most_by_sharing(steps, SHAPES[self.arguments.weights]))
        if self.arguments.peak_tflops:
            print(f"MFU: tunelab {self.mfu(ours_per_s / dedup)} of what it runs, {self.mfu(ours_per_s)} of what that "
                  f"stands for; {NAMES[peer]} {self.mfu(other_per_s)}")  # fmt: skip
        memory = [statistics.median(each.peak_mib for each in side) for side in (mine, theirs)]
        print(f"peak memory: {memory[0]:,.0f} and {memory[1]:,.0f} MiB, ratio {memory[1] / memory[0]:.2f}")
        if not setting.get("packing"):
            _print_losses(mine[0], theirs[0])

    def mfu(self, tokens_per_s: float) -> str:
        """Return the share of the card's pace that so many tokens a second take, forward and back, weights frozen."""
        return f"{4 * self.prepared['num_weights'] * tokens_per_s / (self.arguments.peak_tflops * 1e12):.1%}"

    def explore(self) -> dict[str, float]:
        """Run each setting of the peer once; return the tokens per second of those that ran."""
        peer, found = self.arguments.peer, {}
        for name, (order, setting) in SETTINGS[peer].items():
            try:
                measured = self.measure(peer, order, setting)
                found[name] = measured.tokens_per_s
                print(f"{name:34}{_figures(measured)}", flush=True)
            except SideError as error:
                print(f"{name:34}failed: {str(error).splitlines()[-1]}", flush=True)
        return found

    def fastest(self) -> str:
        """Return the fastest setting of the peer that leaves the rows whole."""
        found = {name: pace for name, pace in self.explore().items() if name != "its defaults"}
        if not found:
            raise SideError(f"no setting of {NAMES[self.arguments.peer]} ran")
        return max(found, key=found.__getitem__)

    def measure(self, side: str, order: str, setting: dict[str, Any]) -> Measured:
        """Run one side once."""
        started = time.perf_counter()
        result = self.run(side, {"order": order, "setting": setting, "share": side != "unshared"})
        process_s = time.perf_counter() - started
        skip, stamps = self.arguments.skip, result["stamps"]
        clock = 1 if self.arguments.processor_time else 0
        return Measured(
            tokens_per_s=sum(result["tokens"][skip:]) / (stamps[-1][clock] - stamps[skip - 1][clock]),
            process_s=process_s,
            peak_mib=result["peak_bytes"] / 2**20,
            losses=result["losses"],
            grad_norms=result["grad_norms"],
            dedup=sum(result["tokens"][skip:]) / sum(result.get("distinct", result["tokens"])[skip:]),
        )

    def run(self, part: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Run one part in a process of its own and return what it wrote."""
        threads = str(self.arguments.threads)
        with tempfile.TemporaryDirectory() as run:
            job = changes | {
                "work": self.arguments.work,
                "weights": self.arguments.weights,
                "device": self.arguments.device,
                "precision": self.arguments.precision,
                "data": str(self.arguments.data.resolve()),
                "catalog": str(self.arguments.catalog.resolve()) if self.arguments.catalog else None,
                "threads": self.arguments.threads,
                "rows": self.arguments.rows,
                "steps": self.arguments.steps,
                "gradient_checkpointing": self.arguments.gradient_checkpointing,
                "micro_batch_tokens": self.arguments.micro_batch_tokens,
                "learning_rate": 2e-4,
                "seed": 42,
                "run": run,
            }
            file = self.folder / f"{part}.json"
            file.write_text(json.dumps(job))
            environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
            if part == "llamafactory":
                environment.pop("PYTHONPATH", None)  # speaks of this environment's packages
            done = subprocess.run(self.command(part, file), env=environment, capture_output=True, text=True)
            if done.returncode:
                raise SideError(f"{part}: {done.stderr.strip() or f'ended with {done.returncode}'}")
            result: dict[str, Any] = json.loads(file.with_suffix(".result.json").read_text())
            return result

    def command(self, part: str, job_file: Path) -> list[str]:
        """Return the command of one part."""
        if part == "llamafactory":
            script = Path(__file__).with_name("train_llamafactory.py")
            return [str(self.arguments.peer_python.absolute()), str(script), str(job_file)]
        script = Path(__file__).with_name("train_side.py")
        return [sys.executable, str(script), "tunelab" if part == "unshared" else part, str(job_file)]


def _setting(arguments: argparse.Namespace) -> str:
    """Return the name of the peer's setting; end the program if the command line asks for what cannot be run."""
    peer = arguments.peer
    if not arguments.data.is_file():
        sys.exit(f"{arguments.data}: no such file. This benchmark makes up nothing.")
    if not 1 <= arguments.skip < arguments.steps:
        sys.exit(f"--skip {arguments.skip} of --steps {arguments.steps}: skip one at least, and leave one to measure.")
    if peer == "llamafactory" and not (arguments.peer_python and arguments.peer_python.is_file()):
        sys.exit(
            "--peer llamafactory: --peer-python must name the python of its environment; --help says how to make one."
        )
    if arguments.device == "cuda" and not _card():
        sys.exit("--device cuda: torch finds no GPU here, so nothing was measured.")
    name: str = arguments.setting or BEST[peer][arguments.work]
    if name not in (*SETTINGS[peer], FASTEST):
        sys.exit(f"--setting {name!r}: {NAMES[peer]} has {', '.join(map(repr, SETTINGS[peer]))}, or {FASTEST}.")
    return name


def _card() -> str:
    """Return the name of the GPU; empty if there is none."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def _versions(python: Path, names: Sequence[str]) -> str:
    code = (
        "import sys; from importlib.metadata import version as v; print(', '.join(f'{n} {v(n)}' for n in sys.argv[1:]))"
    )
    return subprocess.run([python, "-c", code, *names], check=True, capture_output=True, text=True).stdout.strip()


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
