"""Warm jobs are forked from a server and else like any job; whatever keeps one from it, it is started afresh."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from jobs_files import local, run_until, run_until_done, spec, store_in

from jobs_trial.runner import SUBSTITUTE
from jobs_trial.warm_substitute import WARM_SUBSTITUTE
from tunelab.jobs import warm_server
from tunelab.jobs.local import LocalJobs
from tunelab.jobs.marked_processes import MARK, marked_processes
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.jobs.submit import cancel
from tunelab.jobs.warm_start import ensure_warm_server

LONG = {"steps": 100_000, "step_s": 0.01}


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The substitute's server finds its modules."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = store_in(tmp_path)
    yield store
    run_until_done(store, local(store))
    store.close()


def running(store: Store, name: str = "job", **recipe: object) -> dict[str, int]:
    """Start a warm job and return the numbers of its processes once it works."""
    store.add(replace(spec(name, warm=True, **recipe), retries=0))
    run_until(store, local(store), lambda: b"at work" in local(store).logs(name).data)
    pids: dict[str, int] = json.loads((store.folder.job(name).attempt(1) / "began.json").read_text())
    return pids | {"server": int(Path("/proc", str(pids["pid"]), "stat").read_text().rpartition(")")[2].split()[1])}


def log(store: Store, name: str = "job") -> str:
    return local(store).logs(name).data.decode()


def comes(is_so: Callable[[], bool]) -> bool:
    """Wait until something is so, at most a minute."""
    last = time.monotonic() + 60
    while not is_so() and time.monotonic() < last:
        time.sleep(0.01)
    return is_so()


def is_there(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_warm_jobs_share_a_server_bear_their_mark_and_save_when_they_are_stopped(store: Store) -> None:
    first, second = running(store, "one", **LONG), running(store, "two", **LONG)
    assert first["server"] == second["server"]
    for name, pids in (("one", first), ("two", second)):
        folder = str(store.folder.job(name).path)
        assert pids["pid"] in [pid for pid, _ in marked_processes(folder.__eq__)]
        assert os.readlink(f"/proc/{pids['pid']}/cwd") == folder
        assert os.getsid(pids["pid"]) == pids["pid"]
        own = Path("/proc", str(pids["pid"]), "environ").read_bytes().rstrip(b"\0").split(b"\0")
        worker = dict(os.fsdecode(each).split("=", 1) for each in own)
        assert (worker["TUNELAB_JOB"], worker[MARK]) == (name, folder)
        assert "TUNELAB_WARM_ROOM" not in worker
    os.kill(first["server"], 0)
    for name in ("one", "two"):
        cancel(store, local(store), store.get(name))
    ended = run_until_done(store, local(store))
    assert [(job.state, job.code) for job in ended] == [(JobState.CANCELLED, 143)] * 2
    assert "ordinary" not in log(store, "one") + log(store, "two")


def test_a_warm_worker_dies_with_its_shepherd_and_lives_on_without_its_server(store: Store) -> None:
    alone, orphan = running(store, "alone", steps=40, step_s=0.02), running(store, "orphan", **LONG)
    os.kill(alone["server"], signal.SIGKILL)
    os.kill(orphan["shepherd"], signal.SIGKILL)
    assert comes(lambda: not is_there(orphan["pid"]))  # no runner is at work that could end it
    ended = {job.id: job for job in run_until_done(store, local(store))}
    assert ended["alone"].state is JobState.SUCCEEDED
    assert ended["orphan"].state is JobState.LOST


def test_the_exit_code_of_a_warm_worker_is_that_of_its_job(store: Store) -> None:
    for name, codes in (("two", [2]), ("fine", [])):
        store.add(spec(name, warm=True, codes=codes))
    pids = running(store, "killed", **LONG)
    os.kill(pids["pid"], signal.SIGKILL)
    ended = {job.id: (job.state, job.code) for job in run_until_done(store, local(store))}
    assert ended == {
        "two": (JobState.FAILED, 2),
        "fine": (JobState.SUCCEEDED, 0),
        "killed": (JobState.LOST, 128 + signal.SIGKILL),
    }


def test_a_server_of_another_environment_or_of_none_that_works_does_not_keep_a_job_from_its_start(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(spec("before", warm=True))
    run_until_done(store, local(store))
    monkeypatch.setenv("LANG", "pt_PT.UTF-8")
    store.add(spec("other", warm=True))
    run_until_done(store, local(store))
    assert "started in the ordinary way: the environment is another one" in log(store, "other")
    for name, command in (("dead", ("/bin/false",)), ("missing", ("/no/such/program",))):
        store.add(spec(name, warm=True))
        folder = store.folder
        (folder.path / "warm.lock").unlink()
        run_until_done(store, LocalJobs(folder, program=SUBSTITUTE, warm=command))
        assert "started in the ordinary way: " in log(store, name)
    assert {job.state for job in store.jobs()} == {JobState.SUCCEEDED}


def test_a_stop_ends_the_waiting_for_a_server_that_is_still_loading(store: Store) -> None:
    sleeps = (sys.executable, "-c", "import time; time.sleep(600)")
    place = LocalJobs(store.folder, program=SUBSTITUTE, warm=sleeps)
    store.add(spec("job", warm=True))
    run_until(store, place, lambda: store.get("job").state is JobState.RUNNING)
    cancel(store, place, store.get("job"))
    run_until(store, place, lambda: store.get("job").state.is_end)
    assert "the warm server does not answer" in log(store)
    assert store.get("job").state is JobState.CANCELLED
    for each in place._children:
        each.kill()
        each.wait()


def test_a_server_ends_when_it_is_idle_and_when_its_folder_is_gone(tmp_path: Path) -> None:
    folder = store_in(tmp_path).folder
    for way in ("idle", "gone"):
        server = ensure_warm_server(folder, WARM_SUBSTITUTE)
        assert server is not None
        assert ensure_warm_server(folder, WARM_SUBSTITUTE) is None
        if way == "gone":
            folder.path.rename(tmp_path / "elsewhere")
        assert server.wait(60) == 0


def test_a_server_refuses_other_code_and_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        server = warm_server._Server(ours, lambda _: pytest.fail("forked"))  # type: ignore[arg-type, return-value]
        request = warm_server._Request(
            arguments=[], folder="/", environment=server._environment, variables={}, output=1, life=0
        )
        assert server._refusal(request, theirs) == ""
        monkeypatch.setattr(warm_server, "state_of_code", lambda: ())
        assert server._refusal(request, theirs) == "the code of tunelab has changed"
        monkeypatch.setattr(os, "geteuid", lambda: 12_345)
        assert server._refusal(request, theirs) == "another user asks"


def test_an_environment_that_does_not_fit_is_refused_and_a_smaller_one_is_seen_by_others() -> None:
    program = """
import os, sys
from tunelab.jobs.warm_server import bear_environment
try:
    bear_environment({"A": "x" * 100_000})
except OSError as error:
    print(error)
bear_environment({"A": "1", "B": "zwei"})
print(open("/proc/self/environ", "rb").read().rstrip(bytes(1)), dict(os.environ), os.popen("echo $B").read())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "an environment of 100,003 bytes does not fit into" in done.stdout
    assert r"b'A=1\x00B=zwei' {'A': '1', 'B': 'zwei'} zwei" in done.stdout
