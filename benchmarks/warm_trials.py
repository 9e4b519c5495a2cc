"""Measure warm jobs against jobs that are started afresh: throughput, processor time, time to the first line, bytes.

    OMP_NUM_THREADS=1 python benchmarks/warm_trials.py [--trials 50] [--rounds 5] [--slots 2] [--set KEY=VALUE]…

A trial is 16 steps of examples/recipe_lora.yaml on the embedded model, each with a seed of its own. Warm and fresh
trials take turns, a part of them in each round, so that whatever else the machine does falls on both. Ends with 1 if a
warm adapter is not the fresh one of the same seed, byte by byte. The loading of the warm server counts with its trials.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from tunelab.files import sha256_folder
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.local import WARM, LocalJobs
from tunelab.jobs.runner import Runner
from tunelab.jobs.slots import write_slots
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.jobs.submit import spec_of
from tunelab.jobs.warm_start import ensure_warm_server
from tunelab.recipes import resolve_recipe
from tunelab.workspace import Workspace

RECIPE = Path(__file__).parents[1] / "examples" / "recipe_lora.yaml"


@dataclass(kw_only=True)
class Side:
    """What the trials of one kind took."""

    wall_s: float = 0.0
    processor_s: float = 0.0
    starts_s: list[float] = field(default_factory=list)
    """From the shepherd's first word to the first of the run."""
    names: list[str] = field(default_factory=list)


def main() -> None:
    """Run the trials and print a line for each kind, and what they have in common."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50, help="of each kind")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {given.slots} jobs at a time")
    sides = {"fresh": Side(), "warm": Side()}
    with tempfile.TemporaryDirectory() as name:
        os.environ["TUNELAB_CACHE"] = str(Path(name) / "cache")
        store = Store(JobsFolder(workspace=Workspace(path=Path(name))))
        for number in range(given.rounds):
            seeds = range(number * given.trials // given.rounds, (number + 1) * given.trials // given.rounds)
            for kind in sorted(sides, reverse=bool(number % 2)):
                _round(store, sides[kind], kind, seeds, given.slots, given.settings)
        hashes = {kind: [_adapter(store, name) for name in side.names] for kind, side in sides.items()}
    for kind, side in sides.items():
        print(
            f"{kind}: {given.trials} trials in {side.wall_s:.0f} s, {60 * given.trials / side.wall_s:.1f} a minute, "
            f"{side.processor_s / given.trials:.2f} s of a processor each; first line after "
            f"{statistics.median(side.starts_s):.2f} s (median)"
        )
    fresh, warm = sides["fresh"], sides["warm"]
    print(f"warm over fresh: {fresh.wall_s / warm.wall_s:.1f} times the throughput, ", end="")
    print(f"{fresh.processor_s / warm.processor_s:.1f} times by processor time")
    is_equal = hashes["fresh"] == hashes["warm"]
    print(f"adapters of equal seeds: {'equal' if is_equal else 'NOT EQUAL'}, {len(set(hashes['warm']))} different ones")
    sys.exit(0 if is_equal else 1)


def _round(store: Store, side: Side, kind: str, seeds: range, slots: int, settings: list[str]) -> None:
    is_warm = kind == "warm"
    for seed in seeds:
        own = [f"training.seed={seed}", "training.num_training_steps=16", *settings]
        spec = spec_of(resolve_recipe(RECIPE, overrides=own), store.folder, name=f"{kind}-{seed}", warm=is_warm)
        store.add(replace(spec, retries=0))
        side.names.append(spec.id)
    began, before = time.monotonic(), _processor_s()
    server = ensure_warm_server(store.folder, WARM) if is_warm else None
    write_slots(store.folder, slots)
    runner = Runner(store, LocalJobs(store.folder))
    while runner.tick():
        time.sleep(0.05)
    side.wall_s += time.monotonic() - began
    if server is not None:
        server.terminate()
        server.wait()
    side.processor_s += _processor_s() - before
    for name in side.names[-len(seeds) :]:
        assert store.get(name).state is JobState.SUCCEEDED, (
            store.folder.job(name).path / "log-0000000000000000"
        ).read_text()
        lines = (store.folder.job(name).path / "log-0000000000000000").read_text().splitlines()
        first, second = (datetime.fromisoformat(line.split(" ")[0]) for line in lines[:2])
        side.starts_s.append((second - first).total_seconds())


def _processor_s() -> float:
    """Return what all processes took that have ended and were waited for: shepherds, workers, the warm server."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _adapter(store: Store, name: str) -> str:
    return sha256_folder(store.folder.workspace.path / "runs" / name / "adapter")["adapter_model.safetensors"]


if __name__ == "__main__":
    main()
