"""The database: written by many at once, each change once; made again from the folders if it is cut or gone."""

import json
import multiprocessing
import os
import shutil
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from jobs_files import jobs_in, local, run_until, run_until_done, spec, store_in

from tunelab.cli.main import run as tunelab
from tunelab.errors import RunError, StorageError
from tunelab.files import write_json
from tunelab.jobs.backend import JobAttempt
from tunelab.jobs.doctor import examine_database
from tunelab.jobs.job_files import JobFolder, pack
from tunelab.jobs.job_folder import held
from tunelab.jobs.runner import Runner
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.jobs.submit import cancel, retry


def _submit(workspace: Path, numbers: range) -> None:
    store = store_in(workspace)
    for number in numbers:
        store.add(spec(f"job-{number:03d}"))
    store.close()


def test_jobs_submitted_by_many_processes_at_once_are_each_there_once(tmp_path: Path) -> None:
    _submit(tmp_path, range(0))
    context = multiprocessing.get_context("fork")
    ranges = [range(30), range(20, 50), range(40, 60)]
    several = [context.Process(target=_submit, args=(tmp_path, each)) for each in ranges]
    for each in several:
        each.start()
    for each in several:
        each.join()
    assert [each.exitcode for each in several] == [0, 0, 0]
    store = store_in(tmp_path)
    assert sorted(job.id for job in store.jobs()) == [f"job-{number:03d}" for number in range(60)]
    assert all(len(store.moves(job.id)) == 1 for job in store.jobs())
    store.close()


def test_a_key_is_one_job(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    first, is_new = store.add(spec("job"))
    assert is_new
    assert store.add(spec("job")) == (first, False)
    store.close()


def test_the_highest_priority_starts_first_and_then_the_earliest(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
        given = spec(name)
        store.add(type(given)(**{each: getattr(given, each) for each in given.__slots__} | {"priority": priority}))
    assert [job.id for job in store.next_queued(9)] == ["b", "d", "a", "c"]
    assert store.next_queued(0) == []
    assert store.next_queued(-3) == []
    store.close()


def _some_jobs(workspace: Path) -> dict[str, tuple[str, int]]:
    """Fill a workspace with a job in each state that a folder can tell, and return id -> state and attempt."""
    store = store_in(workspace)
    for name, recipe in (
        ("succeeds", {}),
        ("fails", {"codes": [2]}),
        ("again", {"codes": [75]}),
        ("stopped", {"steps": 1000, "step_s": 0.01}),
        ("retried", {"codes": [2, 2]}),
    ):
        store.add(spec(name, **recipe))
    place = local(store)
    run_until(store, place, lambda: store.get("stopped").state is JobState.RUNNING, slots=9)
    cancel(store, place, store.get("stopped"), now=True)
    run_until_done(store, place, slots=9)
    for each in ("waits", "withdrawn"):
        store.add(spec(each))
    cancel(store, place, store.get("withdrawn"))
    retry(store, store.get("retried"))
    states = {job.id: (str(job.state), job.attempt) for job in store.jobs()}
    store.close()
    return states


def _after(store: Store) -> dict[str, tuple[str, int]]:
    """Return id -> state and attempt once the runner has looked at every job, without starting any."""
    Runner(store, local(store)).settle()
    return {job.id: (str(job.state), job.attempt) for job in store.jobs()}


def test_a_database_that_is_gone_is_made_again_from_the_folders(tmp_path: Path) -> None:
    before = _some_jobs(tmp_path)
    assert {state for state, _ in before.values()} == {"succeeded", "failed", "cancelled", "queued"}
    jobs_in(tmp_path).database.unlink()
    store = store_in(tmp_path)
    assert store.database.rebuilt == "the file is missing"
    assert _after(store) == before
    store.close()


def test_a_list_says_how_many_jobs_are_left_out_of_a_database_that_was_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tunelab.cli.jobs_here.bring_up_to_date", lambda _: None)
    store = store_in(tmp_path)
    for name in ("one", "two"):
        store.add(spec(name))
    store.close()
    store.folder.job("one").spec_file.write_text("{")
    store.folder.database.unlink()
    store.folder.database.mkdir()  # in its place
    assert tunelab(["jobs", "list"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["two"]
    assert "was not usable (it is no file) and has been made again" in err
    assert "left out: 1 folder that cannot be read; tunelab jobs doctor says why." in err


def test_a_job_whose_numbers_no_database_takes_keeps_no_other_from_being_found(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.add(spec("good"))
    bad = replace(spec("bad"), priority=10**20)
    store.folder.job("bad").write_spec(bad)
    store.close()
    store.folder.database.unlink()
    assert [job.id for job in store_in(tmp_path).jobs()] == ["good"]


def test_a_database_cut_at_any_place_is_made_again(tmp_path: Path) -> None:
    before = _some_jobs(tmp_path)
    database = jobs_in(tmp_path).database
    whole = database.read_bytes()
    assert len(whole) > 64
    for place in range(64):
        database.write_bytes(whole[: len(whole) * place // 64])
        store = store_in(tmp_path)
        assert _after(store) == before, f"cut after {place} of 64 parts"
        assert store.database.rebuilt
        store.close()


@pytest.mark.parametrize("page", range(7))
def test_a_database_with_a_damaged_page_is_made_again_by_doctor(page: int, tmp_path: Path) -> None:
    before = _some_jobs(tmp_path)
    database = jobs_in(tmp_path).database
    data = bytearray(database.read_bytes())
    assert len(data) > page * 4096
    data[page * 4096 : page * 4096 + 4096] = b"\xff" * 4096
    database.write_bytes(data)
    store = store_in(tmp_path)
    diagnoses = [*examine_database(store)]
    assert [each.found.partition(":")[0] for each in diagnoses] == ["the database was not usable"]
    assert _after(store) == before
    assert database.with_name("jobs.db.damaged").read_bytes() == data
    store.close()


def test_a_store_that_was_open_finds_the_database_that_another_process_made_again(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    job, _ = store.add(spec("job"))
    jobs_in(tmp_path).database.unlink()
    store_in(tmp_path).close()
    assert store.move(job, JobState.STARTING) is not None
    again = store_in(tmp_path)
    assert again.get("job").state is JobState.STARTING
    for each in (store, again):
        each.close()


def test_a_job_that_is_in_no_row_is_found_and_begins_when_a_person_says_so(tmp_path: Path) -> None:
    """A submission was cut short between folder and row, or the folder was pulled from elsewhere, even half done."""
    store = store_in(tmp_path)
    store.folder.job("job").write_spec(spec("job"))
    store.folder.job("begun").write_spec(spec("begun"))
    write_json(store.folder.job("begun").attempt(1) / "start.json", {})
    assert store.jobs() == []
    assert store.adopt() == ["begun", "job"]
    assert store.adopt() == []
    states = [(job.id, job.state) for job in run_until_done(store, local(store))]
    assert states == [("begun", JobState.LOST), ("job", JobState.CANCELLED)]
    assert store.get("job").reason.endswith("tunelab jobs retry job begins it")
    retry(store, store.get("job"))
    assert run_until_done(store, local(store))[1].state is JobState.SUCCEEDED
    store.close()


def test_a_full_disk_changes_nothing_and_says_so(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    job, _ = store.add(spec("job"))
    (pages,) = store.database.connection.execute("PRAGMA page_count").fetchone()
    store.database.connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLITE_FULL, as of a full disk
    with pytest.raises(StorageError, match="full"):  # noqa: PT012 - some fit into the last page
        for number in range(1000):
            store.add(spec(f"more-{number}"))
    assert store.get("job") == job
    assert store.database.faults() == []
    store.close()


def test_whoever_saw_an_earlier_attempt_moves_no_later_one(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    first, _ = store.add(spec("job"))
    cancelled = store.move(first, JobState.CANCELLED)
    assert cancelled is not None
    assert store.move(cancelled, JobState.QUEUED) is not None
    assert store.move(first, JobState.STARTING) is None  # queued, as it was seen, and by now for the second attempt
    assert (store.get("job").state, store.get("job").attempt) == (JobState.QUEUED, 2)
    store.close()


def test_the_clock_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_in(tmp_path)
    now = time.time()
    for name, shift in (("a", 0), ("b", -86_400), ("c", 366 * 86_400)):
        monkeypatch.setattr("time.time", lambda shift=shift: now + shift)
        store.add(spec(name))
    assert [job.state for job in run_until_done(store, local(store))] == [JobState.SUCCEEDED] * 3
    store.close()


def test_a_name_stands_for_the_only_job_that_begins_so(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with pytest.raises(RunError, match="Submit one with"):
        store.find("a")
    for name in ("night-1", "night-12", "day"):
        store.add(spec(name))
    assert store.find("d").id == "day"
    assert store.find("night-1").id == "night-1"
    with pytest.raises(RunError, match="beginning of 2 jobs"):
        store.find("night")
    with pytest.raises(RunError, match='Did you mean "night-1'):
        store.find("nigth-1")
    with pytest.raises(RunError, match="there is no job"):
        store.find("%")
    store.close()


def test_files_of_another_user_and_links_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_in(tmp_path / "other").close()
    assert (tmp_path / "other" / ".tunelab").stat().st_mode & 0o077 == 0
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / ".tunelab").symlink_to(tmp_path / "other" / ".tunelab")
    with pytest.raises(RunError, match="this is a link"):
        store_in(tmp_path / "here")
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / ".tunelab").touch()
    with pytest.raises(RunError, match="this is no folder"):
        store_in(tmp_path / "file")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(RunError, match="belongs to another user"):
        store_in(tmp_path / "other")


def test_readers_and_writers_wait_for_the_lock_before_they_ask_sqlite(tmp_path: Path) -> None:
    """SQLite's own waiting is unfair: nothing is asked of it by a process that does not hold the lock."""
    store = store_in(tmp_path)
    seen = []
    store.database.connection.set_trace_callback(lambda text: seen.append((text.split()[0], _is_held(store))))
    job, _ = store.add(spec("job"))
    store.move(job, JobState.STARTING)
    store.jobs()
    assert {("SELECT", True), ("BEGIN", True), ("COMMIT", True)} <= set(seen)
    assert [each for each in seen if not each[1]] == []
    store.close()


def _is_held(store: Store) -> bool:
    with held(store.folder.write_lock) as lock:
        return lock is None


def test_the_settings_of_the_file_are_those_that_survive_a_power_cut(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    connection: sqlite3.Connection = store.database.connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()


def _copied(workspace: Path, to: Path) -> Store:
    shutil.copytree(workspace / ".tunelab", to / ".tunelab")
    return store_in(to)


@pytest.mark.parametrize("has_database", [True, False])
def test_no_job_of_a_copied_workspace_begins_before_a_person_says_so(has_database: bool, tmp_path: Path) -> None:
    store = store_in(tmp_path / "one")
    for name in ("waits", "begun"):
        store.add(spec(name))
    write_json(store.folder.job("begun").attempt(1) / "start.json", {})
    store.move(store.get("begun"), JobState.STARTING)
    if not has_database:
        store.folder.database.unlink()
    copy = _copied(tmp_path / "one", tmp_path / "two")
    states = [(job.id, job.state) for job in run_until_done(copy, local(copy))]
    assert states == [("begun", JobState.LOST), ("waits", JobState.CANCELLED)]
    assert copy.get("waits").reason == "found in a copied workspace; tunelab jobs retry waits begins it"
    for each in ("waits", "begun"):
        retry(copy, copy.get(each))
    assert {job.state for job in run_until_done(copy, local(copy))} == {JobState.SUCCEEDED}
    for each in (store, copy):
        each.close()


@pytest.mark.parametrize(
    "values",
    [
        {"id": "../../outside"},
        {"id": "another"},
        {"id": 3},
        {"secrets": {"PYTHONPATH": "/p"}},
        {"secrets": {"LD_PRELOAD": "/p"}},
        {"secrets": {"A B": "/p"}},
        {"secrets": {"TOKEN": "p"}},
        {"secrets": {"TOKEN": 3}},
    ],
)
def test_a_job_that_reaches_out_of_its_folder_is_none(values: dict[str, object], tmp_path: Path) -> None:
    store = store_in(tmp_path)
    folder = store.folder.job("job")
    write_json(folder.spec_file, {**json.loads(pack(spec("job"))), **values})
    with pytest.raises(RunError, match="the job cannot be read"):
        folder.read_spec()
    assert store.adopt() == []
    store.close()


@pytest.mark.parametrize("link", ["attempt-1", "attempt-1/shepherd.txt", "log-0000000000000000", "lock", "."])
def test_links_in_the_folder_of_a_job_are_not_followed(link: str, tmp_path: Path) -> None:
    store = store_in(tmp_path)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("precious")
    folder = store.folder.job("job")
    if link == ".":
        folder.path.parent.mkdir()
        JobFolder(path=tmp_path / "outside").write_spec(spec("job"))
        folder.path.symlink_to(tmp_path / "outside")
    else:
        folder.write_spec(spec("job"))
        (folder.path / link).parent.mkdir(exist_ok=True)
        (folder.path / link).symlink_to(tmp_path / ("outside" if link == "attempt-1" else "outside/file"))
    files = {file: file.read_bytes() for file in (tmp_path / "outside").iterdir()}
    assert store.adopt() == []
    with pytest.raises(RunError, match="is a link"):
        folder.read_spec()
    with pytest.raises(RunError, match="is a link"):
        local(store).submit(JobAttempt(spec=spec("job"), number=1))
    if link == "attempt-1":
        with pytest.raises(RunError, match="is a link"):
            local(store).cancel(JobAttempt(spec=spec("job"), number=1))
    assert {file: file.read_bytes() for file in (tmp_path / "outside").iterdir()} == files
    store.close()


def test_a_job_whose_row_of_what_to_do_is_damaged_is_read_from_its_file(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    given = spec("job")
    store.add(given)
    with store.database.writing() as connection:
        connection.execute("UPDATE specs SET spec = ?", (b"[",))
    assert store.spec("job") == given
    store.folder.job("job").spec_file.write_text("{")
    with pytest.raises(RunError, match="the job cannot be read"):
        store.spec("job")
    store.close()


def test_a_store_that_only_reads_sees_the_database_that_another_process_made_again(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.add(spec("job"))
    jobs_in(tmp_path).database.unlink()
    again = store_in(tmp_path)
    again.move(again.get("job"), JobState.STARTING)
    assert store.get("job").state is JobState.STARTING
    for each in (store, again):
        each.close()


def test_a_job_whose_row_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.add(spec("job"))
    shutil.rmtree(store.folder.job("job").path)
    store.folder.database.unlink()
    with pytest.raises(RunError, match="there is no job job any more"):
        store.get("job")
    store.close()
