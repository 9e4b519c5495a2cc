"""Prove that no job is lost or done twice, and measure what jobs cost.

    PYTHONPATH=tools python benchmarks/jobs.py [--kills 1000] [--jobs 200] [--seed 1] [--only kills,list,…]

The jobs are those of a substitute for `tunelab train` that takes milliseconds (tools/jobs_trial/worker.py). Ends with 1
if a job was lost, done twice, came out otherwise than undisturbed, or left a process.

    kills    runner, shepherds and workers are ended by SIGKILL at random instants
    submits  eight processes submit 500 jobs each
    list     `tunelab jobs list` with 10,000 jobs, in processes of their own, and what the reading alone takes
    start    from the submission to the worker's first line, over the same worker started plainly
    overhead processor time and memory of runner and shepherd while a worker sleeps for a minute
    log      a worker prints 100 MB, as fast as it can and in a second: its time into a file, and with a shepherd
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs_trial import worker
from jobs_trial.kills import kill_trial, spec, start_runner
from tunelab.jobs import shepherd
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.workspace import Workspace

SUBMITTERS, SUBMITS = 8, 500
LISTED = 10_000
ROUNDS = 5
SLEEPS_S = float(os.environ.get("SLEEPS_S", "60"))
_PRINTER = """
import sys, time
began = time.monotonic()
for number in range(100):
    sys.stdout.write(("x" * 99 + chr(10)) * 10_000)
    time.sleep(max(0, began + {pause_s} * (number + 1) - time.monotonic()))
sys.stdout.flush()
open("seconds", "w").write(str(time.monotonic() - began))
"""


def main() -> None:
    """Run what the command line names and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="kills,submits,list,start,overhead,log")
    given = parser.parse_args()
    trials: dict[str, Callable[[Path], bool]] = {
        "kills": lambda folder: _kills(folder, given.jobs, given.kills, given.seed),
        "submits": _submits,
        "list": _list,
        "start": _start,
        "overhead": _overhead,
        "log": _log,
    }
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, seed {given.seed}")
    is_good = True
    for name in given.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            is_good = trials[name](Path(folder)) and is_good
    sys.exit(0 if is_good else 1)


def _kills(folder: Path, num_jobs: int, num_kills: int, seed: int) -> bool:
    trial = kill_trial(folder, num_jobs=num_jobs, num_kills=num_kills, slots=8, seed=seed)
    kills = ", ".join(f"{count:,} {role}" for role, count in sorted(trial.kills.items()))
    print(f"kills: {trial.kills.total():,} ({kills}) over {num_jobs} jobs in {trial.seconds:.0f} s: ", end="")
    print(f"{trial.succeeded} succeeded in the right bytes, {len(trial.wrong)} faults")
    for fault in trial.wrong:
        print(f"  {fault}")
    return not trial.wrong and trial.succeeded == num_jobs


def _store(workspace: Path) -> Store:
    return Store(JobsFolder(workspace=Workspace(path=workspace)))


def _submit(workspace: Path, number: int, waits: multiprocessing.Queue[float]) -> None:
    store = _store(workspace)
    for each in range(SUBMITS):
        began = time.monotonic()
        store.add(spec(f"job-{number}-{each:04d}"))
        waits.put(time.monotonic() - began)
    waits.close()
    waits.join_thread()


def _submits(folder: Path) -> bool:
    _store(folder).close()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    several = [context.Process(target=_submit, args=(folder, number, queue)) for number in range(SUBMITTERS)]
    began = time.monotonic()
    for each in several:
        each.start()
    waits = sorted(queue.get() for _ in range(SUBMITTERS * SUBMITS))
    for each in several:
        each.join()
    seconds = time.monotonic() - began
    store = _store(folder)
    num_once = sum(len(store.moves(job.id)) == 1 for job in store.jobs())
    print(f"submits: {SUBMITTERS} x {SUBMITS}: {num_once:,} there once, {len(waits) / seconds:.0f}/s, ", end="")
    print(f"median {_ms(statistics.median(waits))}, worst wait {_ms(waits[-1])}")
    return num_once == len(waits)


def _list(folder: Path) -> bool:
    store = _store(folder)
    with store.database.writing() as connection:
        for number in range(LISTED):
            row = (f"job-{number:05d}", f"key {number}", JobState.SUCCEEDED, 1, 4, 0, 1e9 + number, 1e9 + number, 0, "")
            connection.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            connection.execute("INSERT INTO moves VALUES (?, 1, '', 'queued', 1e9, 'submitted')", (row[0],))
    for line in (["--help"], ["jobs", "--help"], ["jobs", "list"], ["jobs", "list", "--json"]):
        wall, processor = _timed([sys.executable, "-m", "tunelab", *line], folder)
        print(f"list: tunelab {' '.join(line)} with {LISTED:,} jobs {_ms(wall)}, {_ms(processor)} of the processor")
    began = time.process_time()
    assert len(_store(folder).jobs()) == LISTED
    print(f"list: reading all rows takes {_ms(time.process_time() - began)} of it")
    return True


def _timed(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Return the median wall and processor seconds of a command."""
    wall, processor = [], []
    for _ in range(ROUNDS):
        before, began = os.times(), time.monotonic()
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
        after = os.times()
        wall.append(time.monotonic() - began)
        processor.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return statistics.median(wall), statistics.median(processor)


def _start(folder: Path) -> bool:
    store = _store(folder)
    plain, as_job = [], []
    for number in range(ROUNDS):
        began = time.monotonic()
        alone = folder / "plain" / f"{number}" / ".tunelab" / "job" / "job"
        alone.mkdir(parents=True)
        (alone / "recipe.yaml").write_text('{"steps": 1}')
        command = [sys.executable, "-I", "-S", worker.__file__, "train", "recipe.yaml", "--run", "job"]
        with subprocess.Popen(command, cwd=alone, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            plain.append(time.monotonic() - began)
        began = time.monotonic()
        job_id = f"job-{number}"
        store.add(spec(job_id))
        runner = start_runner(folder)
        log = store.folder.job(job_id).path / "log-0000000000000000"
        while not log.exists() or b"at work" not in log.read_bytes():
            time.sleep(0.002)
        as_job.append(time.monotonic() - began)
        runner.wait()
    over = statistics.median(as_job) - statistics.median(plain)
    print(f"start: the first line comes {_ms(over)} later than of a plain process; {_ms(max(as_job))} at worst")
    return True


def _overhead(folder: Path) -> bool:
    store = _store(folder)
    store.add(spec("job", sleeps_s=SLEEPS_S))
    before, began = os.times(), time.monotonic()
    runner = start_runner(folder)
    time.sleep(SLEEPS_S / 2)
    pids = json.loads((store.folder.job("job").attempt(1) / "began.json").read_text())
    memory = {name: _memory(pid) for name, pid in (("runner", runner.pid), ("shepherd", pids["shepherd"]))}
    _, status, used = os.wait4(runner.pid, 0)
    runner.returncode = status
    seconds = time.monotonic() - began
    whole = used.ru_utime + used.ru_stime  # the shepherd is the runner's child, and the worker the shepherd's
    print(f"overhead: {whole:.2f} s of the processor in {seconds:.0f} s ({whole / seconds:.1%}), the worker's start in it")
    for name, (own, share) in memory.items():
        print(f"overhead: {name} {own / 1e6:.1f} MB of its own, {share / 1e6:.1f} MB with its share of what it shares")
    return True


def _memory(pid: int) -> tuple[int, int]:
    """Return the bytes that a process holds alone, and those with its share of what it shares (USS, PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    size = {name.strip(): int(value.split()[0]) * 1024 for name, value in (line.split(":") for line in lines)}
    return size["Private_Clean"] + size["Private_Dirty"], size["Pss"]


def _log(folder: Path) -> bool:
    for name, pause_s in (("as fast as it can", 0.0), ("in a second", 0.01)):
        plain, as_job = [], []
        for number in range(ROUNDS):
            command = [sys.executable, "-c", _PRINTER.format(pause_s=pause_s)]
            with (folder / "plain.txt").open("wb") as file:
                subprocess.run(command, cwd=folder, stdout=file, check=True)
            plain.append(float((folder / "seconds").read_text()))
            job = folder / f"{name} {number}"
            (job / "attempt-1").mkdir(parents=True)
            _shepherd(job, {"command": command, "cwd": str(folder), "variables": {}, "timeout_s": None, "grace_s": 5})
            as_job.append(float((folder / "seconds").read_text()))
        print(f"log: 100 MB {name}: {_ms(statistics.median(plain))} into a file, ", end="")
        print(f"{_ms(statistics.median(as_job))} with a shepherd")
    return True


def _shepherd(job: Path, start: dict[str, object]) -> None:
    (job / "attempt-1" / "start.json").write_text(json.dumps(start))
    subprocess.run([sys.executable, "-I", "-S", shepherd.__file__, str(job), "1"], check=True)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms"


if __name__ == "__main__":
    main()
