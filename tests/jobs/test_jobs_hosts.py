"""On a network disk each machine has a database of its own, and a list joins them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from jobs_files import jobs_in, local, run_until_done, spec, store_in

from tunelab.cli import jobs_list
from tunelab.cli.main import run as tunelab
from tunelab.errors import RunError, StorageError
from tunelab.jobs import disk, hosts, job_folder
from tunelab.jobs.disk import is_memory, is_network_disk
from tunelab.jobs.job_rows import JOB_FIELDS
from tunelab.jobs.state import JobState
from tunelab.jobs.submit import cancel, submit

Become = Callable[[str], None]


def mounted(monkeypatch: pytest.MonkeyPatch, folder: Path, **kinds: str) -> None:
    """Have the system say that folders below `folder` are of some kinds of disk."""
    lines = ["21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"]
    lines += [f"3{n} 21 0:5{n} / {folder}/{name} rw - {kind} x rw" for n, (name, kind) in enumerate(kinds.items())]
    (folder / "mounts").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(disk, "MOUNTS", str(folder / "mounts"))


@pytest.fixture
def become(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Become]:
    """Be another machine, with `tmp_path / "shared"` on a network disk."""
    (tmp_path / "shared").mkdir()
    mounted(monkeypatch, tmp_path, shared="nfs4")
    monkeypatch.chdir(tmp_path / "shared")

    def become(name: str) -> None:
        job_folder._own_part.cache_clear()
        monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename=name))

    yield become
    job_folder._own_part.cache_clear()


@pytest.mark.parametrize(
    ("kind", "is_network"),
    [
        *((kind, True) for kind in ("nfs4", "cifs", "9p", "virtiofs", "fuse.sshfs", "fuse.blobfuse2")),
        *((kind, False) for kind in ("ext4", "fuseblk", "tmpfs", "overlay")),
    ],
)
def test_a_network_disk_is_known_by_its_file_system(
    kind: str, is_network: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted(monkeypatch, tmp_path, disk=kind, other="nfs")
    assert is_network_disk(tmp_path / "disk" / "to" / "come") == is_network
    assert is_memory(tmp_path / "disk") == (kind == "tmpfs")
    assert not is_network_disk(tmp_path / "disks")  # its name begins so, and it lies elsewhere


def test_names_with_blanks_and_mounts_over_mounts_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["21 1 8:1 / / rw - ext4 a rw", rf"31 21 0:5 / {tmp_path}/my\040disk rw - nfs a rw"]
    (tmp_path / "mounts").write_text("\n".join(lines))
    monkeypatch.setattr(disk, "MOUNTS", str(tmp_path / "mounts"))
    assert is_network_disk(tmp_path / "my disk" / "a")
    (tmp_path / "mounts").write_text("\n".join([*lines, rf"32 21 0:6 / {tmp_path}/my\040disk rw - ext4 b rw"]))
    assert not is_network_disk(tmp_path / "my disk" / "a")
    monkeypatch.setattr(disk, "MOUNTS", str(tmp_path / "none"))
    assert not is_network_disk(tmp_path)


def test_each_machine_has_a_database_of_its_own_and_a_list_joins_them(
    tmp_path: Path, become: Become, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = tmp_path / "shared"
    for name in ("one", "two"):
        become(name)
        store = store_in(shared)
        assert store.folder.database == shared / ".tunelab" / "hosts" / name / "jobs.db"
        store.add(spec(f"of-{name}"))
        cancel(store, local(store), store.get(f"of-{name}"))
        store.close()
    become("three")
    listed = json.loads(said(capsys, "list", "--json"))
    assert [(job["id"], job["host"], job["state"]) for job in listed] == [
        ("of-two", "two", "cancelled"),
        ("of-one", "one", "cancelled"),
    ]
    assert [line.split()[:3] for line in said(capsys, "list", "--state=cancelled").splitlines()] == [
        ["of-two", "two", "cancelled"],
        ["of-one", "one", "cancelled"],
    ]
    assert "There is no running job" in said(capsys, "list", "--state", "running")
    with pytest.raises(RunError, match=r"job of-one is cancelled, and one of one\. Give this command there"):
        store_in(shared).find("of-o")
    assert not (shared / ".tunelab" / "jobs.db").exists()


def test_a_machine_that_writes_is_said_to_be_unread_and_a_strangers_folder_is_not_followed(
    tmp_path: Path, become: Become, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "_TRY_AGAIN_S", 0)
    become("one")
    store_in(tmp_path / "shared").close()
    own = jobs_in(tmp_path / "shared").path
    (own.parent / "link").symlink_to(own)
    own.joinpath("jobs.db-journal").write_bytes(b"a change is half written")
    become("two")
    assert tunelab(["jobs", "list"]) == 0
    out, err = capsys.readouterr()
    assert "There is no job" in out
    assert err == "Note: the jobs of one cannot be read now, and are missing here.\n"


def test_a_copy_that_was_begun_while_a_machine_wrote_is_not_taken_though_it_is_done_by_the_end(
    tmp_path: Path, become: Become, monkeypatch: pytest.MonkeyPatch
) -> None:
    become("one")
    store = store_in(tmp_path / "shared")
    store.add(spec("job"))
    store.close()
    journal = store.folder.database.with_name("jobs.db-journal")
    journal.write_bytes(b"a change is half written")
    become("two")
    read = Path.read_bytes

    def read_bytes(file: Path) -> bytes:
        data = read(file)
        journal.unlink(missing_ok=True)
        return data

    monkeypatch.setattr(hosts, "_TRY_AGAIN_S", 0)
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(hosts, "_TRIES", 1)
    folder = jobs_in(tmp_path / "shared")
    assert hosts.host_of(folder, "job") is None
    journal.unlink()
    assert hosts.host_of(folder, "job") == ("one", "job", JobState.QUEUED)


def test_a_job_of_a_network_disk_runs_and_its_copy_says_what_its_machine_knows(tmp_path: Path, become: Become) -> None:
    become("one")
    store = store_in(tmp_path / "shared")
    store.add(spec("job"))
    assert [job.state for job in run_until_done(store, local(store))] == [JobState.SUCCEEDED]
    store.close()
    become("two")
    assert hosts.host_of(jobs_in(tmp_path / "shared"), "jo") == ("one", "job", JobState.SUCCEEDED)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert tunelab(["jobs", *arguments]) == 0
    return capsys.readouterr().out


def test_a_row_of_another_host_moves_no_cursor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = dict.fromkeys(JOB_FIELDS, 0) | {"id": "a\x1b[2Jb", "state": "queued\x1b[2J", "reason": "\x1b[H", "host": "h"}
    monkeypatch.setattr(jobs_list, "store_here", lambda: store_in(tmp_path))
    monkeypatch.setattr(jobs_list, "_rows", lambda *_, limit: ([row], 1))
    jobs_list.list_jobs(None, as_json=False)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("is_readable", [True, False])
def test_a_job_of_another_machine_is_refused_by_its_folder_even_if_its_database_cannot_be_read(
    tmp_path: Path, become: Become, monkeypatch: pytest.MonkeyPatch, is_readable: bool
) -> None:
    monkeypatch.setattr(hosts, "_TRY_AGAIN_S", 0)
    become("one")
    first = store_in(tmp_path / "shared")
    first.add(spec("job"))
    first.close()
    if not is_readable:  # as a machine leaves it that was killed while it wrote
        first.folder.database.with_name("jobs.db-journal").write_bytes(b"half")
    become("two")
    second = store_in(tmp_path / "shared")
    state = "is queued" if is_readable else "is in a state that cannot be read now"
    with pytest.raises(RunError, match=f"this was submitted on one: job job {state}"):
        submit(second, spec("job"))
    assert not second.folder.job("job").path.exists()
    assert submit(second, spec("other"))[1]


def test_a_disk_that_does_not_say_whether_another_machine_has_a_job_is_not_passed_over(
    tmp_path: Path, become: Become
) -> None:
    become("one")
    store_in(tmp_path / "shared").close()
    (jobs_in(tmp_path / "shared").path / "job").symlink_to("job")  # a look below it ends with an error
    become("two")
    store = store_in(tmp_path / "shared")
    with pytest.raises(StorageError, match="the jobs of other machines cannot be looked at"):
        submit(store, spec("job"))
    assert not store.jobs()
