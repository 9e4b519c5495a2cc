"""A secret reaches the worker by its name; its value is in no file, log, database or page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from jobs_files import local, run_until, run_until_done, spec, store_in

from train_task import write_task
from tunelab.cli.main import run as tunelab
from tunelab.errors import UserError
from tunelab.jobs import disk, shepherd, shepherd_log
from tunelab.jobs.job import JobSpec
from tunelab.jobs.job_secrets import forget_secrets, keep_secrets, secret_files
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.jobs.submit import cancel, retry

CANARY = "canary-7351-of-a-token"
LONG = {"steps": 100_000, "step_s": 0.01}


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the system says to be in memory, as the user's runtime folder is."""
    place = tmp_path / "run"
    place.mkdir(mode=0o700)
    lines = ["21 1 8:1 / / rw - ext4 a rw", f"31 21 0:5 / {place} rw - tmpfs a rw"]
    (tmp_path / "mounts").write_text("\n".join(lines))
    monkeypatch.setattr(disk, "MOUNTS", str(tmp_path / "mounts"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    return place


@pytest.fixture
def store(tmp_path: Path, memory: Path) -> Iterator[Store]:
    (tmp_path / "workspace").mkdir()
    store = store_in(tmp_path / "workspace")
    yield store
    store.close()


def with_secret(store: Store, given: JobSpec, *secrets: str) -> JobSpec:
    return replace(given, secrets=secret_files(secrets, store.folder, given.id), retries=0)


def files_with(folder: Path, text: str) -> list[Path]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 5
    return [file for file in files if text.encode() in file.read_bytes()]


def test_a_worker_has_the_secret_and_nothing_that_is_written_does(
    store: Store, memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    given = with_secret(store, spec("job", says=["HF_TOKEN"], **LONG), "HF_TOKEN")
    keep_secrets(given)
    monkeypatch.delenv("HF_TOKEN")  # the runner may be another command's, which never had it
    store.add(given)
    run_until(store, local(store), lambda: b"at work" in local(store).logs("job").data)
    pid = json.loads((store.folder.job("job").attempt(1) / "began.json").read_text())["pid"]
    assert f"HF_TOKEN={CANARY}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    (kept,) = files_with(tmp_path, CANARY)
    assert kept.is_relative_to(memory)
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    cancel(store, local(store), store.get("job"), now=True)
    run_until_done(store, local(store))
    assert b"its token is [secret HF_TOKEN]\n" in local(store).logs("job").data
    assert files_with(tmp_path, CANARY) == []  # forgotten once the job is cancelled
    with pytest.raises(UserError, match="the secret HF_TOKEN is not there any more"):
        retry(store, store.get("job"))
    monkeypatch.setenv("HF_TOKEN", CANARY)
    retry(store, store.get("job"))
    assert len(files_with(tmp_path, CANARY)) == 1
    cancel(store, local(store), store.get("job"))
    assert files_with(tmp_path, CANARY) == []


def test_a_secret_that_is_gone_fails_the_job_in_words_and_is_not_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    given = replace(with_secret(store, spec("job"), "HF_TOKEN"), retries=3)
    keep_secrets(given)
    store.add(given)
    forget_secrets(given)  # as after the machine went down
    (job,) = run_until_done(store, local(store))
    assert (job.state, job.code, job.attempt) == (JobState.FAILED, 2, 1)
    assert "the secret HF_TOKEN cannot be read" in local(store).logs("job").data.decode()
    assert "tunelab jobs retry job" in local(store).logs("job").data.decode()
    retry(store, job)
    assert [each.state for each in run_until_done(store, local(store))] == [JobState.SUCCEEDED]


def test_a_file_of_the_users_own_is_read_and_neither_written_nor_deleted(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{CANARY}\n")
    file.chmod(0o600)
    given = with_secret(store, spec("job", says=["TOKEN"]), f"TOKEN={file}")
    keep_secrets(given, {"TOKEN": "another"})
    store.add(given)
    assert [job.state for job in run_until_done(store, local(store))] == [JobState.SUCCEEDED]
    assert b"its token is [secret TOKEN]\n" in local(store).logs("job").data
    assert files_with(tmp_path, CANARY) == [file]
    file.chmod(0o644)
    with pytest.raises(ValueError, match="others may read it"):
        shepherd._secret("TOKEN", str(file))
    file.chmod(0o600)
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(ValueError, match="cannot be read"):
        shepherd._secret("TOKEN", str(tmp_path / "link"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("NOT_SET", "the variable NOT_SET is not set"),
        ("SHORT", "has 3 characters; expected 6 to 65,536"),
        ("A B", "is no name of a variable"),
        ("=x", "is no name of a variable"),
        ("LD_PRELOAD=open", "decides what a process loads"),
        ("TOKEN=/dev/null", "it is no regular file"),
        ("TOKEN=absent", "the secret TOKEN cannot be read"),
        ("TOKEN=open", "others may read the secret TOKEN, too"),
    ],
)
def test_what_cannot_be_a_secret_is_refused_at_submission(
    given: str, words: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "open").write_text(CANARY)
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(UserError, match=words):
        secret_files([given], store.folder, "job", environment={"SHORT": "abc", "XDG_RUNTIME_DIR": "/none"})


def test_without_a_place_in_memory_a_file_is_called_for(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"TOKEN": CANARY, "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    assert secret_files(["TOKEN"], store.folder, "job", environment=given)["TOKEN"].startswith(str(tmp_path / "run"))
    (tmp_path / "run" / "tunelab").mkdir(mode=0o755)  # another program made it, and others may read in it
    monkeypatch.setattr("tunelab.jobs.job_secrets.SHARED_MEMORY", tmp_path)  # which is on a disk here
    with pytest.raises(UserError, match="there is no place in memory to keep a secret"):
        secret_files(["TOKEN"], store.folder, "job", environment=given)


@pytest.mark.parametrize(
    ("secrets", "text", "expected"),
    [
        ({"T": CANARY}, f"a {CANARY} b {CANARY[:9]}{CANARY} cana\n{CANARY[:-1]}", None),
        ({"A": "SECRET", "B": "SECRETREST"}, "SECRETREST, SECRET, SECRETRE.\nSECRETRESECRETREST; SECRETRES", None),
        ({"A": "SECRET", "B": "SECRETREST"}, "it ends with SECRET", None),
        ({"A": "one-two", "B": "two-three"}, "one-two-three two-three", "[secret A]-three [secret B]"),
        ({"A": "aaaaaa", "B": "aaaaaab"}, "aaaaaaaaaaaab aaaaaaa", "[secret A][secret B] [secret A]a"),
    ],
)
def test_secrets_are_left_out_of_the_log_in_whichever_pieces_they_come(
    tmp_path: Path, secrets: dict[str, str], text: str, expected: str | None
) -> None:
    if expected is None:  # the longest first
        expected = text
        for name, value in sorted(secrets.items(), key=lambda item: -len(item[1])):
            expected = expected.replace(value, f"[secret {name}]")
    for size in range(1, len(text) + 1):
        (tmp_path / str(size)).mkdir()
        log = shepherd_log.Log(str(tmp_path / str(size)))
        log.hide(secrets)
        for start in range(0, len(text), size):
            log.write(log.without_secrets(text[start : start + size].encode()))
        log.flush()
        log._file.close()
        (written,) = (tmp_path / str(size)).iterdir()
        assert "\n".join(line[25:] for line in written.read_text().split("\n")) == expected, size


def test_a_secret_that_is_given_by_command_is_in_no_file_and_noted_at_the_next_submission(
    tmp_path: Path, memory: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_TOKEN", CANARY)
    monkeypatch.setattr("tunelab.jobs.store.Store.needs_runner", lambda _: False)
    task = tmp_path / "task"
    task.mkdir()
    write_task(task, tiny_model)
    monkeypatch.chdir(task)
    assert tunelab(["jobs", "submit", "task.yaml", "--secret", "MY_TOKEN"]) == 0
    (kept,) = files_with(tmp_path, CANARY)
    assert kept.is_relative_to(memory)
    assert CANARY not in capsys.readouterr().out
    assert tunelab(["jobs", "submit", "task.yaml", "--timeout", "5m"]) == 0
    assert "that is otherwise: --timeout, --secret." in capsys.readouterr().out
    assert os.listdir(kept.parent) == ["MY_TOKEN"]
    assert tunelab(["jobs", "cancel"]) == 0
    assert tunelab(["jobs", "submit", "task.yaml", "--secret", "MY_TOKEN"]) == 0
    assert not kept.exists()  # it is cancelled, and stays so
