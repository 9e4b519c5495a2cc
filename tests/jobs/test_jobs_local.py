"""Jobs as processes of this machine: whatever a worker does, its log, its end and its children are in hand."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from jobs_files import local, run_until, run_until_done, spec, store_in

from jobs_trial.runner import SUBSTITUTE
from tunelab.errors import StorageError
from tunelab.jobs import shepherd, shepherd_log
from tunelab.jobs.backend import JobAttempt
from tunelab.jobs.doctor import examine
from tunelab.jobs.in_process import InProcessJobs
from tunelab.jobs.job import Job, JobSpec
from tunelab.jobs.job_environment import job_environment
from tunelab.jobs.job_folder import held
from tunelab.jobs.local import LocalJobs
from tunelab.jobs.marked_processes import marked_processes
from tunelab.jobs.runner import run_jobs
from tunelab.jobs.slots import read_slots, write_slots
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.jobs.submit import cancel

LONG = {"steps": 100_000, "step_s": 0.01}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = store_in(tmp_path)
    yield store
    run_until_done(store, local(store))
    store.close()


def done(store: Store, given: JobSpec) -> Job:
    store.add(given)
    run_until_done(store, local(store))
    return store.get(given.id)


def running(store: Store, name: str = "job", **recipe: object) -> Path:
    """Start a job and return the folder of its attempt once its worker works."""
    store.add(replace(spec(name, **recipe), retries=0))
    begun = store.folder.workspace.path / "runs" / name / "begun"
    run_until(store, local(store), lambda: begun.exists() and b"at work" in local(store).logs(name).data)
    return store.folder.job(name).attempt(1)


def log(store: Store) -> str:
    return local(store).logs("job").data.decode()


def left(store: Store) -> list[int]:
    return [pid for pid, _ in marked_processes(str(store.folder.job("job").path).__eq__)]


def test_each_line_of_a_log_begins_with_the_time_and_nuls_and_open_lines_are_kept(store: Store) -> None:
    assert done(store, spec("job", prints="one\ntwo\0three\nno end")).state is JobState.SUCCEEDED
    lines = log(store).splitlines()
    assert [line[25:] for line in lines] == ["[job] attempt 1", "one", "two\0three", "no end", "[job] ended with 0"]
    for line in lines:
        time.strptime(line[:19], "%Y-%m-%dT%H:%M:%S")


def test_a_worker_that_closes_its_output_goes_on_to_its_end(store: Store) -> None:
    assert done(store, spec("job", closes=True, steps=20, step_s=0.01)).state is JobState.SUCCEEDED


def test_daemons_that_a_worker_leaves_are_ended_with_it(store: Store) -> None:
    running(store, daemon=True, **LONG)
    assert len(left(store)) == 2
    cancel(store, local(store), store.get("job"))
    run_until_done(store, local(store))
    assert left(store) == []
    assert store.get("job").state is JobState.CANCELLED


def test_a_worker_that_is_out_of_time_saves_and_goes_on_in_the_next_attempt(store: Store) -> None:
    job = done(store, replace(spec("job", steps=60, step_s=0.02), timeout_s=0.9, retries=5))
    assert job.state is JobState.SUCCEEDED
    assert job.attempt > 1
    ends = [move.new for move in store.moves("job") if move.old == JobState.RUNNING]
    assert ends == [JobState.TIMED_OUT] * (job.attempt - 1) + [JobState.SUCCEEDED]


def test_a_worker_that_ignores_sigterm_is_killed_after_its_grace(store: Store) -> None:
    store.add(replace(spec("job", ignores=True, **LONG), timeout_s=0.5, grace_s=0.3, retries=0))
    deaf = ["/bin/sh", "-c", 'trap "" TERM; exec "$0" "$@"', *SUBSTITUTE]  # deaf before Python has started
    (job,) = run_until_done(store, LocalJobs(store.folder, program=deaf))
    assert (job.state, job.code) == (JobState.TIMED_OUT, 137)
    assert "out of time: asked to save and stop" in log(store)
    assert "killed" in log(store)


def test_cancel_now_ends_what_ignores_sigterm(store: Store) -> None:
    running(store, ignores=True, **LONG)
    cancel(store, local(store), store.get("job"))
    cancel(store, local(store), store.get("job"), now=True)
    run_until_done(store, local(store))
    assert (store.get("job").state, store.get("job").code) == (JobState.CANCELLED, 137)


@pytest.mark.parametrize("now", [False, True])
def test_a_job_is_stopped_on_a_full_disk(store: Store, monkeypatch: pytest.MonkeyPatch, now: bool) -> None:
    files = running(store, **LONG)
    store.allow(store.get("job"), 3)

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as context:
        context.setattr(store, "move", refuse)
        with pytest.raises(StorageError, match="was asked to stop and does so, but that cannot be noted: the disk"):
            cancel(store, local(store), store.get("job"), now=now)
    assert {file.name: file.stat().st_size for file in files.glob("stop*")} == dict.fromkeys(
        ["stop", "stop-now"] if now else ["stop"], 0
    )
    run_until(store, local(store), lambda: _is_free(store.folder.job("job").lock_file), ticks=False)
    (job,) = run_until_done(store, local(store))
    assert (job.state, job.attempt) == (JobState.CANCELLED, 1)


def test_a_worker_dies_with_its_shepherd_and_the_job_is_lost(store: Store) -> None:
    files = running(store, daemon=True, **LONG)
    pids = json.loads((files / "began.json").read_text())
    os.kill(pids["shepherd"], signal.SIGKILL)
    run_until(store, local(store), lambda: pids["pid"] not in left(store), ticks=False)  # no runner looks at it
    run_until_done(store, local(store))
    assert store.get("job").state is JobState.LOST
    assert store.get("job").reason == "its process is gone without an exit code"
    assert left(store) == []


def test_a_job_goes_on_without_its_runner_and_the_next_one_finds_it(store: Store) -> None:
    program = (
        "import sys; from pathlib import Path; from jobs_files import *\n"
        "store = store_in(Path(sys.argv[1])); place = local(store)\n"
        "run_until(store, place, lambda: store.get('job').state == 'running')"
    )
    store.add(spec("job", steps=60, step_s=0.01))
    path = os.pathsep.join(sys.path)
    command = [sys.executable, "-W", "ignore", "-c", program, str(store.folder.workspace.path)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": path})
    assert store.get("job").state is JobState.RUNNING
    (job,) = run_until_done(store, local(store))
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)


def test_the_shepherd_ignores_a_shutdowns_signal_and_the_worker_does_not(store: Store) -> None:
    pids = json.loads((running(store, **LONG) / "began.json").read_text())
    os.kill(pids["shepherd"], signal.SIGTERM)
    os.kill(pids["pid"], signal.SIGTERM)
    run_until_done(store, local(store))
    job = store.get("job")
    assert (job.state, job.code) == (JobState.LOST, 143)  # nobody asked for it: it goes on after the restart


def test_a_command_that_cannot_be_started_fails_and_says_why(store: Store) -> None:
    store.add(spec("job"))
    place = LocalJobs(store.folder, program=["/no/such/python"])
    (job,) = run_until_done(store, place)
    for shepherd_process in place._children:  # it lets its lock go a moment before it is gone
        shepherd_process.wait()
    assert (job.state, job.code) == (JobState.FAILED, 127)
    assert "the command could not be started" in log(store)


def test_a_log_goes_on_in_another_file_and_offsets_stay_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shepherd_log, "LOG_FILE_BYTES", 1000)
    store = store_in(tmp_path)
    folder = store.folder.job("job").path
    folder.mkdir(parents=True)
    written = shepherd_log.Log(str(folder))
    for number in range(100):
        written.write(b"line %d\n" % number)
    place = local(store)
    starts = shepherd_log.log_files(str(folder))
    assert len(starts) == 2
    assert starts[0] > 0
    first = place.logs("job")
    assert first.start == starts[0]  # what came before is deleted, and the reader learns it
    text, since = b"", 0
    while (part := place.logs("job", since)).data:
        text, since = text + part.data, part.end
    assert f"what comes before byte {starts[0]} is deleted".encode() in text
    assert text.splitlines()[-1].endswith(b"line 99")
    again = shepherd_log.Log(str(folder))
    again.say("attempt 2")
    for each in (written, again):
        each._file.close()
    assert place.logs("job", since).data.endswith(b"[job] attempt 2\n")
    store.close()


def test_a_log_that_the_disk_refuses_is_counted_and_does_not_hold_up_the_worker(tmp_path: Path) -> None:
    written = shepherd_log.Log(str(tmp_path))

    class FullDisk:
        def __init__(self, file: object) -> None:
            self.file = file

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    whole = written._file
    written._file = FullDisk(whole)  # type: ignore[assignment]
    written.write(b"lost line\n")
    written._file = whole
    written.write(b"line\n")
    whole.close()
    lines = (tmp_path / "log-0000000000000000").read_text().splitlines()
    assert lines[0] == "[job] 10 bytes left out: the disk refused them"
    assert lines[1].endswith("line")


def test_no_variable_but_those_of_the_list_reaches_a_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "PATH": "/bin",
        "HF_TOKEN": "canary",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "LLM_LORA__R": "9",
        "OMP_NUM_THREADS": "1",
    }
    assert job_environment(given) == {"PATH": "/bin", "OMP_NUM_THREADS": "1"}
    monkeypatch.setenv("HF_TOKEN", "canary-73519")
    files = running(store, **LONG)
    pid = json.loads((files / "began.json").read_text())["pid"]
    assert b"TUNELAB_JOB=job" in Path(f"/proc/{pid}/environ").read_bytes()
    assert b"canary-73519" not in Path(f"/proc/{pid}/environ").read_bytes()
    cancel(store, local(store), store.get("job"), now=True)
    run_until_done(store, local(store))
    written = [file for file in store.folder.workspace.path.rglob("*") if file.is_file()]
    assert len(written) > 8
    assert [file for file in written if b"canary-73519" in file.read_bytes()] == []


def test_what_an_attempt_left_running_is_ended_before_the_next_one_though_its_files_are_gone(store: Store) -> None:
    left = subprocess.Popen(
        ["sleep", "600"], env={"TUNELAB_JOB_FOLDER": str(store.folder.job("job").path)}, start_new_session=True
    )
    attempt = JobAttempt(spec=spec("job"), number=2)
    store.folder.job("job").write_spec(attempt.spec)
    local(store).submit(attempt)
    assert left.wait(timeout=60) == -signal.SIGKILL
    run_until(store, local(store), lambda: not local(store).state(attempt).is_running, ticks=False)


def test_a_runner_gives_its_lock_up_while_no_other_process_can_write(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_held = []

    def flock(descriptor: int, operation: int) -> None:
        with held(store.folder.write_lock) as lock:
            was_held.append(lock is None)

    monkeypatch.setattr("tunelab.jobs.runner.fcntl", SimpleNamespace(flock=flock, LOCK_UN=fcntl.LOCK_UN))
    run_jobs(store.folder, local(store))  # there is nothing to do
    assert was_held == [True]


def test_doctor_says_what_it_found_and_did(store: Store) -> None:
    assert examine(store) == []
    files = running(store, daemon=True, **LONG)
    os.kill(json.loads((files / "began.json").read_text())["shepherd"], signal.SIGKILL)
    orphan = subprocess.Popen(
        ["sleep", "600"], env={"TUNELAB_JOB_FOLDER": str(store.folder.job("ended").path)}, start_new_session=True
    )
    store.folder.job("unread").path.mkdir()
    store.folder.job("unread").spec_file.write_text("{")
    run_until(store, local(store), lambda: _is_free(store.folder.job("job").lock_file), ticks=False)
    diagnoses = examine(store)
    found = "\n".join(f"{each.found} | {each.did}" for each in diagnoses)
    assert "job job was running in the database, without a runner | moved on: lost" in found
    assert "job ended has ended, and not all of its processes | ended 1" in found
    assert "the job cannot be read" in found
    assert orphan.wait() == -signal.SIGKILL
    store.folder.job("unread").spec_file.unlink()
    store.folder.slots_file.write_text("abc")
    (slots,) = examine(store)
    assert "holds no number" in slots.found
    assert "1 job at a time. tunelab jobs slots N writes it anew." in slots.found
    assert slots.did == ""
    write_slots(store.folder, 2)
    assert examine(store) == []


def _is_free(lock: Path) -> bool:
    with held(lock) as descriptor:
        return descriptor is not None


def test_more_jobs_at_once_count_at_once_and_share_the_cores(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(12))
    assert read_slots(store.folder) == 1
    assert "OMP_NUM_THREADS" not in _start(store, "alone")
    write_slots(store.folder, 4)
    assert _start(store, "shares")["OMP_NUM_THREADS"] == "3"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert "OMP_NUM_THREADS" not in _start(store, "chosen")
    store.folder.slots_file.write_text("many")
    assert read_slots(store.folder) == 1


def _start(store: Store, name: str) -> dict[str, str]:
    given = spec(name)
    store.folder.job(name).write_spec(given)
    local(store).submit(JobAttempt(spec=given, number=1))
    run_until(store, local(store), lambda: _is_free(store.folder.job(name).lock_file), ticks=False)
    variables: dict[str, str] = json.loads((store.folder.job(name).attempt(1) / "start.json").read_text())["variables"]
    return variables


def test_a_command_that_cannot_be_started_for_a_while_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(shepherd, "_started", refused)
    log = shepherd_log.Log(str(tmp_path))
    assert shepherd._attempt({"command": ["x"], "cwd": "."}, str(tmp_path), log) == {"code": 75}
    log._file.close()


def test_a_runner_whose_workspace_was_moved_away_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunelab.jobs.runner._AFTER_FAULT_S", 0.05)
    store = store_in(tmp_path / "here")
    store.add(spec("job"))
    ended = threading.Event()

    class Stuck(InProcessJobs):
        """A place that begins nothing, since the workspace goes."""

        def submit(self, attempt: JobAttempt) -> None:
            (tmp_path / "here").rename(tmp_path / "there")

    def be_the_runner() -> None:
        run_jobs(store.folder, Stuck(lambda _: 0))
        ended.set()

    threading.Thread(target=be_the_runner, daemon=True).start()
    assert ended.wait(timeout=60)
