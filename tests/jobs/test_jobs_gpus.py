"""GPUs by UUID: several jobs share one as long as their memory fits, and what never fits is refused with numbers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from jobs_files import run_until, run_until_done, spec, store_in

from jobs_trial.runner import SUBSTITUTE
from tunelab.errors import UserError
from tunelab.flows.training.gpu_memory import expected_gpu_bytes
from tunelab.jobs import ranks
from tunelab.jobs.backend import JobAttempt
from tunelab.jobs.gpus import Gpu, HeldGpus, gpus_for, gpus_here, require_gpus
from tunelab.jobs.job import JobSpec
from tunelab.jobs.local import LocalJobs
from tunelab.jobs.runner import Runner
from tunelab.jobs.slots import write_slots
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.jobs.submit import spec_of
from tunelab.recipes import resolve_recipe

GIB = 1 << 30
TWO = (Gpu(uuid="GPU-a", memory_bytes=80 * GIB), Gpu(uuid="GPU-b", memory_bytes=24 * GIB))
LONG = {"steps": 100_000, "step_s": 0.01}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = store_in(tmp_path)
    yield store
    store.close()


def place(store: Store) -> LocalJobs:
    return LocalJobs(store.folder, program=SUBSTITUTE, gpus=lambda: TWO)


def needs(name: str, gpus: int = 1, gib: int = 0, **recipe: object) -> JobSpec:
    return replace(spec(name, **recipe), gpus=gpus, gpu_bytes=gib * GIB, retries=0)


def held(*uuids: str, gib: int = 0) -> HeldGpus:
    return HeldGpus(uuids=uuids, memory_bytes=gib * GIB)


@pytest.mark.parametrize(
    ("gpus", "gib", "others", "given"),
    [
        (1, 10, [], ["GPU-a"]),
        (1, 10, [held("GPU-a", gib=60)], ["GPU-b"]),
        (1, 10, [held("GPU-a", gib=60), held("GPU-b", gib=10)], ["GPU-a"]),
        (1, 20, [held("GPU-a", gib=60), held("GPU-b", gib=10)], ["GPU-a"]),
        (1, 21, [held("GPU-a", gib=60), held("GPU-b", gib=10)], None),
        (1, 0, [held("GPU-a", gib=1)], ["GPU-b"]),
        (1, 0, [held("GPU-a", gib=1), held("GPU-b", gib=1)], None),
        (1, 1, [held("GPU-a"), held("GPU-b")], None),
        (2, 24, [], ["GPU-a", "GPU-b"]),
        (2, 24, [held("GPU-b", gib=1)], None),
        (0, 0, [held("GPU-a"), held("GPU-b")], []),
    ],
)
def test_a_job_gets_the_gpus_with_the_most_room_and_none_that_would_overflow(
    gpus: int, gib: int, others: list[HeldGpus], given: list[str] | None
) -> None:
    found = gpus_for(needs("job", gpus, gib), TWO, others)
    assert (None if found is None else list(found.uuids)) == given


@pytest.mark.parametrize(
    ("spec_", "gpus", "words"),
    [
        (needs("job"), (), "there is no GPU here: nvidia-smi names none"),
        (needs("job", 3), TWO, "3 GPUs are requested; expected at most 2"),
        (needs("job", 1, 81), TWO, "the job needs 81.0 GiB on a GPU by estimate, and 80.0 GiB are there"),
        (needs("job", 2, 25), TWO, "the job needs 25.0 GiB on a GPU by estimate, and 24.0 GiB are there"),
    ],
)
def test_what_never_fits_is_refused_with_numbers(spec_: JobSpec, gpus: tuple[Gpu, ...], words: str) -> None:
    with pytest.raises(UserError, match=words):
        require_gpus(spec_, gpus)


def test_jobs_share_a_gpu_by_uuid_and_the_next_runner_knows_who_holds_what(store: Store) -> None:
    write_slots(store.folder, 9)
    for number in range(3):
        store.add(needs(f"job-{number}", 1, 40, **LONG))
    store.add(needs("cpu", 0, **LONG))
    first = place(store)
    run_until(store, first, lambda: store.counts() == {JobState.RUNNING: 3, JobState.QUEUED: 1}, slots=9)
    assert [_visible(store, f"job-{number}") for number in range(2)] == ["GPU-a", "GPU-a"]
    assert store.get("job-2").reason == "waits for 1 GPU with 40.0 GiB"
    assert store.get("cpu").state is JobState.RUNNING  # it needs none and passes
    store.add(needs("small", 1, 1))
    second = place(store)
    Runner(store, second).tick()
    assert store.get("small").state is JobState.QUEUED  # it does not pass one that waited longer
    first.cancel(_attempt(store, second, "job-0"), now=True)
    run_until(store, second, lambda: store.get("job-2").state is JobState.RUNNING, slots=9)
    for name in ("job-1", "job-2", "cpu"):
        second.cancel(_attempt(store, second, name), now=True)
    run_until_done(store, second, slots=9)
    for each in first._children:
        each.wait()
    assert _visible(store, "small") == "GPU-b"
    assert store.get("small").state is JobState.SUCCEEDED


def _attempt(store: Store, of: LocalJobs, name: str) -> JobAttempt:
    return Runner(store, of)._attempt(store.get(name))


def _visible(store: Store, name: str) -> str | None:
    start = json.loads((store.folder.job(name).attempt(1) / "start.json").read_text())
    visible: str | None = start["variables"].get("CUDA_VISIBLE_DEVICES")
    return visible


def test_the_gpus_are_those_that_nvidia_smi_names_and_cuda_shows(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, GPU-aa, 81920'\necho '1, GPU-ab, 24576'\n")
    program.chmod(0o700)
    here = {"PATH": str(tmp_path)}

    def uuids(**more: str) -> list[str]:
        return [gpu.uuid for gpu in gpus_here(here | more)]

    assert [gpu.memory_bytes for gpu in gpus_here(here)] == [80 * GIB, 24 * GIB]
    assert uuids() == ["GPU-aa", "GPU-ab"]
    assert uuids(CUDA_VISIBLE_DEVICES="1,0") == ["GPU-ab", "GPU-aa"]
    assert uuids(CUDA_VISIBLE_DEVICES="GPU-ab") == ["GPU-ab"]
    assert uuids(CUDA_VISIBLE_DEVICES="0,7,1") == ["GPU-aa"]
    assert uuids(CUDA_VISIBLE_DEVICES="") == uuids(CUDA_VISIBLE_DEVICES="GPU-a") == []
    program.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert gpus_here(here) == ()
    assert gpus_here({"PATH": str(tmp_path / "none")}) == ()


def test_the_memory_of_a_job_is_estimated_when_it_is_submitted(store: Store, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n' * 20)
    recipe = tmp_path / "task.yaml"
    recipe.write_text("data:\n  train_files: rows.jsonl\n")
    resolved = resolve_recipe(recipe, environment={})
    small = expected_gpu_bytes(resolve_recipe(recipe, overrides=["batching.micro_batch_tokens=256"]), GIB)
    assert GIB < small < expected_gpu_bytes(resolved, 80 * GIB)
    given = spec_of(resolved, store.folder, gpus=1, gpus_there=lambda: TWO, gpu_bytes_of=expected_gpu_bytes)
    assert (given.gpus, given.gpu_bytes) == (1, expected_gpu_bytes(resolved, 80 * GIB))
    on_cpu = resolve_recipe(recipe, overrides=["model.device_map=cpu"], environment={})
    assert spec_of(on_cpu, store.folder, gpus_there=lambda: TWO).gpus == 0
    on_gpu = resolve_recipe(recipe, overrides=["model.device_map=cuda"], environment={})
    assert spec_of(on_gpu, store.folder, gpus_there=lambda: TWO).gpus == 1
    absent = resolve_recipe(recipe, overrides=["model.base_model=a/b", "model.revision=c"], environment={})
    assert expected_gpu_bytes(absent, GIB) == 0  # nothing is fetched to find out


_RANKED = """
import os, signal, sys, time
rank = os.environ["RANK"]
print(rank, os.environ["LOCAL_RANK"], os.environ["WORLD_SIZE"], os.environ["MASTER_ADDR"], flush=True)
if sys.argv[1] == "sleep":
    time.sleep(60)
code = int(sys.argv[1].split(",")[int(rank)])
os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)
"""


@pytest.mark.parametrize(
    ("codes", "whole"), [("0,0", 0), ("75,2", 2), ("75,-9", 137), ("0,75", 75), ("-9,75", 137), ("1,75", 1)]
)
def test_several_processes_of_a_job_end_as_the_one_that_says_most(codes: str, whole: int) -> None:
    done = subprocess.run([*_ranks(2), codes], capture_output=True, text=True, check=False)
    assert sorted(done.stdout.splitlines()) == ["0 0 2 127.0.0.1", "1 1 2 127.0.0.1"]
    assert done.returncode == whole


def test_a_signal_reaches_every_process_of_a_job() -> None:
    with subprocess.Popen([*_ranks(2), "sleep"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM


def test_a_rank_that_ends_with_a_fault_takes_the_others_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "_PATIENCE_S", 0.3)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    programs = ("raise SystemExit(2)", "import time; time.sleep(600)", deaf)
    command = [sys.executable, "-I", "-S", "-c"]
    processes = [subprocess.Popen([*command, program], stdout=subprocess.PIPE) for program in programs]
    assert processes[2].stdout is not None
    processes[2].stdout.readline()
    ranks._wait_for(processes)
    assert [each.returncode for each in processes] == [2, -signal.SIGTERM, -signal.SIGKILL]
    for each in processes:
        each.communicate()


def _ranks(number: int) -> list[str]:
    return [sys.executable, "-I", "-S", ranks.__file__, str(number), sys.executable, "-I", "-S", "-c", _RANKED]
