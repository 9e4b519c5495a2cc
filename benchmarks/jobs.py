"""Prove that no job is lost or done twice, and measure what jobs cost.

    PYTHONPATH=tools python benchmarks/jobs.py [--kills 1000] [--jobs 200] [--seed 1] [--seconds 60] [--only list,…]

The jobs are those of a substitute for `tunelab train` that takes milliseconds (tools/jobs_trial/worker.py). Ends with 1
if a job was lost, done twice, came out otherwise than undisturbed, or left a process.

    kills    runner, shepherds and workers are ended by SIGKILL at random instants
    refusals the disk refuses each call of submit, claim, finish and shepherd that may change a file (by strace)
    trials   500 jobs of a millisecond, four at a time
    submits  eight processes submit 500 jobs each
    list     `tunelab jobs list` with 10,000 jobs, in processes of their own, and what the reading alone takes
    hosts    `tunelab jobs list` on a network disk that 64 machines have 200 jobs each on
    start    from the submission to the worker's first line, over the same worker started plainly
    overhead processor time and memory of runner and shepherd while a worker sleeps for so many seconds
    log      a worker prints 100 MB, as fast as it can and in a second: its time into a file, and with a shepherd;
             how long after its end a reader has all of it
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
from jobs_trial.refusals import ERRORS, STEPS, refusals
from tunelab.jobs import shepherd
from tunelab.jobs.job_files import JobFolder
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.local import LocalJobs
from tunelab.jobs.slots import write_slots
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.workspace import Workspace

SUBMITTERS, SUBMITS = 8, 500
LISTED = 10_000
ROUNDS = 5
HOSTS, OF_A_HOST = 64, 200
TRIALS, TRIAL_SLOTS = 500, 4
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
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", default="kills,refusals,trials,submits,list,hosts,start,overhead,log")
    given = parser.parse_args()
    trials: dict[str, Callable[[Path], bool]] = {
        "kills": lambda folder: _kills(folder, given.jobs, given.kills, given.seed),
        "refusals": _refusals,
        "trials": _trials,
        "submits": _submits,
        "list": _list,
        "hosts": _hosts,
        "start": _start,
        "overhead": lambda folder: _overhead(folder, given.seconds),
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


def _refusals(folder: Path) -> bool:
    wrong: list[str] = []
    for step in STEPS:
        found = [refusals(folder, step, error) for error in ERRORS]
        wrong += [fault for each in found for fault in each.wrong]
        print(f"refusals: {sum(each.num_refused for each in found)} of {step}, {', '.join(ERRORS)}")
    print(f"refusals: {len(wrong)} faults")
    for fault in wrong:
        print(f"  {fault}")
    return not wrong


def _trials(folder: Path) -> bool:
    store = _store(folder)
    write_slots(store.folder, TRIAL_SLOTS)
    for number in range(TRIALS):
        store.add(spec(f"trial-{number:03d}", steps=1))
    began = time.monotonic()
    with start_runner(folder) as runner:
        runner.wait()
    seconds = time.monotonic() - began
    num_succeeded = store.counts().get(JobState.SUCCEEDED, 0)
    print(f"trials: {num_succeeded} of {TRIALS} in {seconds:.0f} s, {TRIAL_SLOTS} at a time: {TRIALS / seconds:.1f}/s")
    return num_succeeded == TRIALS


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
    _fill(_store(folder), LISTED)
    for line in (["--help"], ["jobs", "--help"], ["jobs", "list"], ["jobs", "list", "--json"]):
        wall, processor = _timed([sys.executable, "-m", "tunelab", *line], folder)
        print(f"list: tunelab {' '.join(line)} with {LISTED:,} jobs {_ms(wall)}, {_ms(processor)} of the processor")
    began = time.process_time()
    assert len(_store(folder).jobs()) == LISTED
    print(f"list: reading all rows takes {_ms(time.process_time() - began)} of it")
    return True


def _fill(store: Store, num_jobs: int) -> None:
    with store.database.writing() as connection:
        for number in range(num_jobs):
            row = (f"job-{number:05d}", f"key {number}", JobState.SUCCEEDED, 1, 4, 0, 1e9 + number, 1e9 + number, 0, "")
            connection.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            connection.execute("INSERT INTO moves VALUES (?, 1, '', 'queued', 1e9, 'submitted')", (row[0],))


def _hosts(folder: Path) -> bool:
    _store(folder).close()
    for number in range(HOSTS):
        store = _store(folder / f"{number}")
        _fill(store, OF_A_HOST)
        store.close()
        own = folder / ".tunelab" / "hosts" / f"host-{number:02d}"
        own.mkdir(parents=True)
        store.folder.database.rename(own / "jobs.db")
    for line in (["jobs", "list"], ["jobs", "list", "--json"]):
        wall, processor = _timed([sys.executable, "-m", "tunelab", *line], folder)
        what = f"{HOSTS} databases of {OF_A_HOST} jobs joined"
        print(f"hosts: tunelab {' '.join(line)}, {what}: {_ms(wall)}, {_ms(processor)} of the processor")
    command = [sys.executable, "-m", "tunelab", "jobs", "list", "--json"]
    listed = json.loads(subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout)
    return len(listed) == HOSTS * OF_A_HOST


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


def _overhead(folder: Path, seconds: float) -> bool:
    store = _store(folder)
    store.add(spec("job", sleeps_s=seconds))
    began = time.monotonic()
    runner = start_runner(folder)
    time.sleep(seconds / 2)
    pids = json.loads((store.folder.job("job").attempt(1) / "began.json").read_text())
    memory = {name: _memory(pid) for name, pid in (("runner", runner.pid), ("shepherd", pids["shepherd"]))}
    _, status, used = os.wait4(runner.pid, 0)
    runner.returncode = status
    seconds = time.monotonic() - began
    whole = used.ru_utime + used.ru_stime  # the shepherd is the runner's child, and the worker the shepherd's
    print(
        f"overhead: {whole:.2f} s of the processor in {seconds:.0f} s ({whole / seconds:.1%}), the worker's start in it"
    )
    for name, (own, share) in memory.items():
        print(f"overhead: {name} {own / 1e6:.1f} MB of its own, {share / 1e6:.1f} MB with its share of what it shares")
    return True


def _memory(pid: int) -> tuple[int, int]:
    """Return the bytes that a process holds alone, and those with its share of what it shares (USS, PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    size = {name.strip(): int(value.split()[0]) * 1024 for name, value in (line.split(":") for line in lines)}
    return size["Private_Clean"] + size["Private_Dirty"], size["Pss"]


def _log(folder: Path) -> bool:
    jobs = JobsFolder(workspace=Workspace(path=folder))
    for name, pause_s in (("as fast as it can", 0.0), ("in a second", 0.01)):
        plain, as_job, lags = [], [], []
        for number in range(ROUNDS):
            command = [sys.executable, "-c", _PRINTER.format(pause_s=pause_s)]
            with (folder / "plain.txt").open("wb") as file:
                subprocess.run(command, cwd=folder, stdout=file, check=True)
            plain.append(float((folder / "seconds").read_text()))
            job = jobs.job(f"{name} {number}".replace(" ", "-"))
            job.attempt(1).mkdir(parents=True)
            start: dict[str, object] = {
                "command": command,
                "cwd": str(folder),
                "variables": {},
                "timeout_s": None,
                "grace_s": 5,
            }
            lags.append(_lag(LocalJobs(jobs), job, start))
            as_job.append(float((folder / "seconds").read_text()))
        print(f"log: 100 MB {name}: {_ms(statistics.median(plain))} into a file, ", end="")
        print(f"{_ms(statistics.median(as_job))} with a shepherd; read {_ms(max(lags))} after its end at worst")
    return True


def _lag(place: LocalJobs, job: JobFolder, start: dict[str, object]) -> float:
    """Run an attempt with a reader of its log, and return the seconds between its end and that of the reading."""
    (job.attempt(1) / "start.json").write_text(json.dumps(start))
    with subprocess.Popen([sys.executable, "-I", "-S", shepherd.__file__, str(job.path), "1"]) as process:
        since, ended = 0, 0.0
        while True:
            if not ended and process.poll() is not None:
                ended = time.monotonic()
            part = place.logs(job.path.name, since)
            since = part.end
            if not part.data and ended:
                return time.monotonic() - ended
            time.sleep(0 if part.data else 0.05)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms"


if __name__ == "__main__":
    main()
