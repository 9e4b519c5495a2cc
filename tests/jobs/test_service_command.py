"""`tunelab jobs serve` as a process: where it is, who may know, how it ends, and what keeps it from starting."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from jobs_files import jobs_in
from service_files import ENDED, add_job, client_of, parsed, quiet_jobs, write_log

from tunelab.cli.main import run as tunelab
from tunelab.errors import UserError
from tunelab.jobs.service import http_server, served_jobs
from tunelab.jobs.service.http_server import FIRST_PORT
from tunelab.jobs.service.served_jobs import ServedJobs
from tunelab.jobs.service.service_file import only_service, publish, service_file
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store

_PATIENCE_S = 60


@contextmanager
def served(workspace: Path) -> Iterator[tuple[subprocess.Popen[str], httpx2.Client, str]]:
    """A service as a process, a caller that knows its token, and what it printed."""
    command = [sys.executable, "-m", "tunelab", "jobs", "serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        printed = "".join(process.stdout.readline() for _ in range(3))
        place = json.loads((workspace / ".tunelab" / "service.json").read_bytes())
        assert place["token"] not in printed
        headers = {"Authorization": f"Bearer {place['token']}"}
        with httpx2.Client(base_url=place["address"], headers=headers, timeout=_PATIENCE_S, trust_env=False) as client:
            yield process, client, printed
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    assert process.stderr is not None
    return process.wait(_PATIENCE_S), process.stderr.read()


def test_a_service_is_found_by_its_file_alone_and_sigterm_ends_it_and_its_streams(tmp_path: Path) -> None:
    with quiet_jobs(tmp_path) as jobs:
        add_job(jobs, "job", JobState.STARTING, JobState.RUNNING)
        write_log(jobs, "job", b"one\n")
        file = service_file(jobs.folder)
        file.write_text('{"address": "http://127.0.0.1:1", "token": "of one that was killed"}')
        file.chmod(0o644)
        with served(tmp_path) as (process, client, printed):
            assert file.stat().st_mode & 0o777 == 0o600
            assert "of one that was killed" not in file.read_text()
            assert str(client.base_url).rstrip("/") in printed
            assert ".tunelab/service.json" in printed
            assert client.get("/jobs").json()["total"] == 1
            assert client.get("/jobs", headers={"Authorization": ""}).status_code == 401
            assert client.post("/jobs", content=b"x" * (2 << 20)).status_code == 413
            with client.stream("GET", "/jobs/job/log") as stream:
                lines = stream.iter_lines()
                assert next(line for line in lines if line.startswith("data")) == 'data: {"start":0,"text":"one\\n"}'
                assert ended(process, signal.SIGTERM) == (0, "")
                assert [line for line in lines if line.startswith("event")] == []  # no end: the reader comes back
        assert not file.exists()


def test_a_long_log_is_read_to_its_end_and_ctrl_c_ends_the_service_and_says_that_jobs_go_on(tmp_path: Path) -> None:
    text = "größer\r\n" * 40_000
    with quiet_jobs(tmp_path) as jobs:
        add_job(jobs, "job", *ENDED)
        write_log(jobs, "job", text.encode())
        with served(tmp_path) as (process, client, _):
            found = parsed(client.get("/jobs/job/log").text)
            with socket.create_connection((client.base_url.host, client.base_url.port or 0)):  # silent
                assert ended(process, signal.SIGINT) == (130, "Interrupted: the service has ended; jobs go on.\n")
        assert not service_file(jobs.folder).exists()
    assert "".join(each["data"]["text"] for each in found[:-1]) == text
    assert found[-1]["event"] == "end"


def test_a_workspace_has_one_service_and_the_second_learns_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tunelab.jobs.service.service_file._LONGEST_LOCK_WAIT_S", 0)
    folder = jobs_in(tmp_path)
    folder.make()
    with only_service(folder):
        for place in ("", " at http://127.0.0.1:12345"):
            assert tunelab(["jobs", "serve"]) == 2
            message = capsys.readouterr().err
            assert f"a service of this workspace runs already{place}. Use it, or end it first." in message
            assert "secret" not in message
            publish(folder, address="http://127.0.0.1:12345", token="secret")
    assert not service_file(folder).exists()


def test_a_service_whose_workspace_was_moved_away_says_so_and_makes_nothing_in_its_old_place(tmp_path: Path) -> None:
    folder = jobs_in(tmp_path / "here")
    folder.make()
    with only_service(folder) as is_in_place:
        client = client_of(ServedJobs(folder, is_in_place=is_in_place))
        assert client.get("/jobs").json() == {"jobs": [], "total": 0}
        (tmp_path / "here").rename(tmp_path / "there")
        answer = client.get("/jobs")
        assert (answer.status_code, answer.json()["error"]["what"]) == (503, "the workspace was moved away")
        assert not (tmp_path / "here").exists()


def test_the_next_free_port_is_taken_unless_one_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with http_server._listening(None) as first, http_server._listening(None) as second:
        assert FIRST_PORT <= first.getsockname()[1] < second.getsockname()[1] < FIRST_PORT + 100
        assert first.getsockname()[0] == "127.0.0.1"
        taken = str(first.getsockname()[1])
        assert tunelab(["jobs", "serve", "--port", taken]) == 2
        assert f"--port: port {taken} is taken." in capsys.readouterr().err
    assert not (tmp_path / ".tunelab" / "service.json").exists()
    monkeypatch.setattr(socket.socket, "bind", _not_permitted)
    with pytest.raises(UserError, match="port 9 cannot be used"):
        http_server._listening(9)


def _not_permitted(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_the_extra_the_pip_line_is_named(
    package: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [each for each in sys.modules if each.partition(".")[0] == package or "jobs.service." in each]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    declared = [f'{each} ; extra == "serve"' for each in extras["serve"]]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: declared)
    assert tunelab(["jobs", "serve"]) == 2
    assert capsys.readouterr().err == (
        f"tunelab: this command needs {package}, which is not installed. "
        'Install it with: pip install "tunelab[serve]"\n'
    )
    assert not (tmp_path / ".tunelab").exists()


def test_a_runner_that_the_service_started_is_waited_for_once_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = ServedJobs(jobs_in(tmp_path))
    add_job(jobs, "job")
    child = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {})
    started = iter([child])
    monkeypatch.setattr(served_jobs, "ensure_runner", lambda _: next(started, None))
    store = Store(jobs.folder)
    jobs.bring_up_to_date(store)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    jobs.bring_up_to_date(store)
    with pytest.raises(ChildProcessError):
        os.waitpid(child, os.WNOHANG)
    store.close()
