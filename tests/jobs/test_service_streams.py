"""A reader of log, events or moves gets every byte once, however often its connection is cut, and knows the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service_files import ENDED, add_job, client_of, collected, move, parsed, quiet_jobs, stream, write_log

from tunelab.errors import StorageError
from tunelab.events import EventLog, Notice
from tunelab.jobs.job import Job
from tunelab.jobs.service import streams
from tunelab.jobs.service.served_jobs import ServedJobs
from tunelab.jobs.service.streams import JobStream, StreamReaders, messages
from tunelab.jobs.service.watch import Part, Watch
from tunelab.jobs.shepherd_log import log_file
from tunelab.jobs.state import JobState

RUNNING = (JobState.STARTING, JobState.RUNNING)
KINDS = ("log", "events", "moves")


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedJobs]:
    monkeypatch.setattr(streams, "LOOK_S", 0.01)
    monkeypatch.setattr("tunelab.jobs.service.watch.LOOK_S", 0.01)
    with quiet_jobs(tmp_path) as jobs:
        yield jobs


def texts(found: list[dict[str, Any]]) -> str:
    return "".join(each["data"]["text"] for each in found if each["event"] == "log")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedJobs]:
    with quiet_jobs(tmp_path_factory.mktemp("workspace")) as jobs:
        add_job(jobs, "job", *ENDED)
        yield jobs


@settings(max_examples=60)
@given(
    log=st.lists(st.one_of(st.binary(max_size=9), st.text(max_size=9).map(str.encode), st.sampled_from([b"\r\n\r\n"]))),
    cuts=st.lists(st.integers(1, 3), max_size=5),
    part_bytes=st.integers(4, 20),
)
def test_a_reader_that_is_cut_off_anywhere_and_returns_with_its_last_id_gets_the_log_once(
    ended: ServedJobs, log: list[bytes], cuts: list[int], part_bytes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "_LOG_BYTES", part_bytes)
        Path(log_file(str(ended.folder.job("job").path), 0)).write_bytes(b"".join(log))
        found: list[dict[str, Any]] = []
        for most in [*cuts, None]:
            last = found[-1]["id"] if found else 0
            found += collected(stream(ended, "job", "log", last), most=most)
            if found[-1]["event"] == "end":
                break
        starts = [each["data"]["start"] for each in found if each["event"] == "log"]
        ends = [each["id"] for each in found if each["event"] == "log"]
        assert starts == [0, *ends][: len(starts)]
        assert texts(found) == b"".join(log).decode(errors="replace")
        assert (found[-1]["event"], found[-1]["id"]) == ("end", len(b"".join(log)))


def test_a_character_whose_bytes_come_one_by_one_is_sent_whole(jobs: ServedJobs) -> None:
    add_job(jobs, "job", *RUNNING)
    data = "größer 🙂".encode()

    async def follow() -> list[dict[str, Any]]:
        found = []
        following = stream(jobs, "job", "log")
        for number in range(len(data)):
            write_log(jobs, "job", data[number : number + 1])
            if data[: number + 1].decode(errors="ignore").encode() == data[: number + 1]:
                found.append(await anext(following))
        move(jobs, "job", JobState.SUCCEEDED)
        return [*found, await anext(following)]

    found = asyncio.run(follow())
    assert texts(found) == data.decode()
    assert found[-1]["event"] == "end"
    assert found[-1]["data"]["state"] == "succeeded"


def test_what_is_deleted_of_a_log_is_seen_by_its_start(jobs: ServedJobs) -> None:
    add_job(jobs, "job", *ENDED)
    Path(log_file(str(jobs.folder.job("job").path), 1_000)).write_text("the rest\n")
    (found, end) = collected(stream(jobs, "job", "log", 10))
    assert found == {"id": 1_009, "event": "log", "data": {"start": 1_000, "text": "the rest\n"}}
    assert end["id"] == 1_009


@pytest.mark.parametrize("most", [1, 2, 3])
def test_events_come_once_each_though_one_is_torn_and_the_connection_cut(
    jobs: ServedJobs, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_NUM_EVENTS", 4)
    add_job(jobs, "job", *RUNNING)
    run = jobs.folder.workspace.path / "runs" / "job"
    run.mkdir(parents=True)

    def emit(*texts: str) -> None:
        with EventLog(run / "events.jsonl") as log:
            for text in texts:
                log.emit(Notice(code="test", text=text))

    emit(*"abcdef")
    with (run / "events.jsonl").open("a") as file:
        file.write('{"event":"notice","code":"to')
    found: list[dict[str, Any]] = []
    for _ in range(6 // most):
        found += collected(stream(jobs, "job", "events", found[-1]["id"] if found else 0), most=most)
    emit(*"gh\n")
    move(jobs, "job", JobState.SUCCEEDED)
    found += collected(stream(jobs, "job", "events", found[-1]["id"]))
    assert [each["data"]["text"] for each in found[:-1]] == [*"abcdefgh\n"]
    assert {each["event"] for each in found[:-1]} == {"notice"}
    assert found[-2]["id"] == found[-1]["id"] == (run / "events.jsonl").stat().st_size


def test_moves_come_once_each_and_their_id_is_their_number(jobs: ServedJobs) -> None:
    add_job(jobs, "job", *RUNNING)
    found = collected(stream(jobs, "job", "moves"), most=3)
    move(jobs, "job", JobState.SUCCEEDED)
    found += collected(stream(jobs, "job", "moves", 3))
    assert [(each["id"], each["data"]["new"]) for each in found[:-1]] == [
        (1, "queued"),
        (2, "starting"),
        (3, "running"),
        (4, "succeeded"),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_goes_on_while_another_attempt_is_due(jobs: ServedJobs, kind: str) -> None:
    """A job that is lost is queued again by itself."""
    add_job(jobs, "job", *RUNNING, JobState.LOST)

    async def follow() -> list[dict[str, Any]]:
        task = asyncio.create_task(_all(stream(jobs, "job", kind)))
        await asyncio.sleep(0.1)
        assert not task.done()
        for state in (JobState.QUEUED, *ENDED):
            move(jobs, "job", state)
        return await task

    assert asyncio.run(follow())[-1]["data"]["attempt"] == 2


async def _all(found: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each async for each in found]


def test_a_silent_stream_shows_that_it_lives_and_ends_with_the_service(
    jobs: ServedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE_S", 0.05)
    add_job(jobs, "job", *RUNNING)
    comments: list[dict[str, Any]] = []

    async def follow() -> None:
        async for message in stream(jobs, "job", "log", is_ending=lambda: len(comments) == 2):
            comments.append(message)

    asyncio.run(follow())
    assert comments == [{"event": "comment"}] * 2


def test_readers_of_one_job_share_what_is_looked_at_and_read(jobs: ServedJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunelab.jobs.service.watch.LOOK_S", 60)
    add_job(jobs, "job", *ENDED)
    write_log(jobs, "job", b"x" * 100)
    reads: list[int] = []
    opened = []
    log, of_store = StreamReaders(jobs).log, ServedJobs.opened

    def read(job: Job, position: int) -> Part:
        reads.append(position)
        return log(job, position)

    monkeypatch.setattr(ServedJobs, "opened", lambda self: opened.append(1) or of_store(self))

    async def follow() -> list[list[bytes]]:
        watch, found = Watch(jobs, "job"), JobStream(job_id="job", read=read, position=0)

        async def one() -> list[bytes]:
            return [each async for each in messages(watch, found, is_ending=lambda: False)]

        return await asyncio.gather(*(one() for _ in range(50)))

    everyone = asyncio.run(follow())
    assert [texts(parsed(b"".join(each).decode())) for each in everyone] == ["x" * 100] * 50
    assert (reads, len(opened)) == ([0, 100], 1)


def test_one_reader_that_goes_takes_nothing_from_another(jobs: ServedJobs) -> None:
    add_job(jobs, "job", *ENDED)
    write_log(jobs, "job", b"x" * 100)

    async def follow() -> list[bytes]:
        watch, found = Watch(jobs, "job"), JobStream(job_id="job", read=StreamReaders(jobs).log, position=0)

        async def one() -> list[bytes]:
            return [each async for each in messages(watch, found, is_ending=lambda: False)]

        goes, stays = asyncio.create_task(one()), asyncio.create_task(one())
        await asyncio.sleep(0.001)
        goes.cancel()
        return await stays

    assert texts(parsed(b"".join(asyncio.run(follow())).decode())) == "x" * 100


def test_a_disk_that_fails_while_a_stream_runs_is_its_last_message(
    jobs: ServedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_job(jobs, "job", *RUNNING)

    def fails(_: object) -> None:
        raise StorageError("the disk is full", where="here")

    monkeypatch.setattr(ServedJobs, "opened", fails)
    (found,) = collected(stream(jobs, "job", "log"))
    assert (found["event"], found["data"]["error"]["what"]) == ("fault", "the disk is full")


@pytest.mark.parametrize("kind", KINDS)
def test_over_http_a_reader_returns_by_header_or_parameter_and_is_sent_away_once_it_has_all(
    jobs: ServedJobs, kind: str
) -> None:
    add_job(jobs, "job", *ENDED)
    write_log(jobs, "job", b"one\ntwo\n")
    run = jobs.folder.workspace.path / "runs" / "job"
    run.mkdir(parents=True)
    with EventLog(run / "events.jsonl") as log:
        log.emit(Notice(code="test", text="one"))
    client = client_of(jobs)
    whole = client.get(f"/jobs/job/{kind}")
    assert whole.headers["content-type"].startswith("text/event-stream")
    found = parsed(whole.text)
    assert len(found) >= 2
    last = found[-1]["id"]
    assert found[-1]["event"] == "end"
    for answer in (
        client.get(f"/jobs/job/{kind}?since={last}"),
        client.get(f"/jobs/job/{kind}", headers={"Last-Event-ID": "0"}),
    ):
        assert parsed(answer.text)[-1] == found[-1]
    gone = client.get(f"/jobs/job/{kind}?since=1", headers={"Last-Event-ID": str(last)})
    assert (gone.status_code, gone.content) == (204, b"")
    for bad in ("-1", "x", "1.5", "9" * 5_000, "+1", " ", "٣"):
        answer = client.get(f"/jobs/job/{kind}", headers={"Last-Event-ID": bad.encode()})
        assert (answer.status_code, answer.json()["error"]["where"]) == (422, "Last-Event-ID"), bad
    for query in ("since=-1", "since=x", f"since={10**30}"):
        assert client.get(f"/jobs/job/{kind}?{query}").status_code == 422


def test_a_reader_that_has_all_of_a_lost_job_is_sent_away_only_if_no_attempt_is_due(jobs: ServedJobs) -> None:
    client = client_of(jobs, is_ending=True)
    add_job(jobs, "job", *RUNNING, JobState.LOST)
    assert client.get("/jobs/job/moves", headers={"Last-Event-ID": "4"}).status_code == 200
    add_job(jobs, "other", *RUNNING, JobState.FAILED)
    assert client.get("/jobs/other/moves", headers={"Last-Event-ID": "4"}).status_code == 204


@pytest.mark.parametrize("kind", KINDS)
def test_a_position_that_is_not_there_yet_is_refused(jobs: ServedJobs, kind: str) -> None:
    add_job(jobs, "job", *RUNNING)
    run = jobs.folder.workspace.path / "runs" / "job"
    run.mkdir(parents=True)
    with EventLog(run / "events.jsonl") as log:
        log.emit(Notice(code="first", text="text"))
    for position in (1_000_000, *([3] if kind == "events" else [])):  # beyond the end; within an event
        answer = client_of(jobs).get(f"/jobs/job/{kind}?since={position}")
        assert (answer.status_code, answer.json()["error"]["remedy"]) == (422, "Begin again, at 0.")
