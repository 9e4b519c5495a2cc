"""How soon the commands answer: `--help` against TRL's, and the first optimizer step of the quickstart.

`python startup.py` prints medians of interleaved runs, in seconds of the clock from the start of the process.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

BIN = Path(sys.executable).parent


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, help="train the quickstart's recipe over this folder instead of nano")
    arguments = parser.parse_args()
    now = datetime.datetime.now().astimezone().isoformat(timespec="minutes")
    print(f"{now}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {arguments.rounds} rounds")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, theirs = _in_turn([["tunelab", "--help"], ["trl", "--help"]], folder, arguments.rounds)
        print(f"tunelab --help                 {_seconds(ours)}")
        ratio = statistics.median(theirs) / statistics.median(ours)
        print(f"trl --help                     {_seconds(theirs)}, {ratio:.0f} times as long")
        recipe = _sample_recipe(folder)
        (checks,) = _in_turn([["tunelab", "check", str(recipe.with_name("train.jsonl"))]], folder, arguments.rounds)
        print(f"tunelab check train.jsonl      {_seconds(checks)}")
        command = ["quickstart"]
        if arguments.model:
            command = ["train", str(recipe), "--set", f"model.base_model={arguments.model.resolve()}"]
        firsts = [_first_step(command) for _ in range(arguments.rounds)]
        print(f"first step of {command[0]:17}{_seconds(firsts)}")


def _in_turn(commands: Sequence[Sequence[str]], folder: Path, rounds: int) -> list[list[float]]:
    """Return the seconds of each command in each round."""
    seconds: list[list[float]] = [[] for _ in commands]
    for _ in range(rounds):
        for place, (program, *rest) in enumerate(commands):
            started = time.perf_counter()
            done = subprocess.run([BIN / program, *rest], cwd=folder, capture_output=True, check=False)
            seconds[place].append(time.perf_counter() - started)
            if done.returncode not in (0, 1):  # 1: check has findings
                sys.exit(f"{program} {' '.join(rest)} failed: {done.stderr.decode()}")
    return seconds


def _sample_recipe(folder: Path) -> Path:
    """Write the quickstart's task and return its recipe."""
    from tunelab.starter import write_sample_task

    return write_sample_task("taxonomy", folder / "taxonomy").recipe


def _first_step(command: Sequence[str]) -> float:
    """Return the seconds from the start of a `tunelab` command to its first optimizer step; the run ends there."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.time()
        errors = Path(folder, "errors.txt")
        with errors.open("w") as file:
            process = subprocess.Popen([BIN / "tunelab", *command], cwd=folder, stdout=subprocess.DEVNULL, stderr=file)
        try:
            while process.poll() is None:
                for events in Path(folder).rglob("events.jsonl"):
                    for line in events.read_text().splitlines():
                        if line.endswith("}") and (event := json.loads(line))["event"] == "step":
                            return float(event["time"] - started)
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()
        sys.exit(f"tunelab {' '.join(command)} ended before its first step: {errors.read_text()}")


def _seconds(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):6.2f} s  ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    main()
