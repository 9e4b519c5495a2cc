"""A job's log as commands print it, and what they take for its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs_files import spec, store_in

from tunelab.cli import job_log
from tunelab.cli.job_log import JobLog
from tunelab.jobs.shepherd_log import log_file
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = store_in(tmp_path)
    store.add(spec("job"))
    yield store
    store.close()


def _end(store: Store, state: JobState) -> None:
    job = store.get("job")
    for each in (JobState.STARTING, JobState.RUNNING, state):
        job = store.move(job, each) or job


def test_a_log_is_followed_beyond_an_attempt_that_is_begun_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def next_attempt(_: Store) -> None:
        store.move(store.get("job"), JobState.QUEUED)
        _end(store, JobState.SUCCEEDED)

    _end(store, JobState.LOST)
    monkeypatch.setattr(job_log, "bring_up_to_date", next_attempt)
    job = JobLog(store=store, job_id="job").follow()
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)


def test_a_character_that_two_reads_cut_is_printed_whole(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(log_file(str(store.folder.job("job").path), 0))
    log = JobLog(store=store, job_id="job")
    data = "aé→b".encode() + b"\xc3"
    for end in range(len(data) + 1):
        file.write_bytes(data[:end])
        log.print_news()
    assert capsys.readouterr().out == "aé→b"
    log.print_news(is_all=True)
    assert capsys.readouterr().out == "\ufffd"
