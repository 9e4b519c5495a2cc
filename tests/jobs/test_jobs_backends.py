"""What every place that runs attempts must do, tried on each of them; and the runner, which moves jobs by it."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from jobs_files import finish_run, local, run_until, run_until_done, spec, store_in

from tunelab.errors import StorageError
from tunelab.files import write_json
from tunelab.jobs.backend import JobAttempt, JobBackend, Sighting
from tunelab.jobs.in_process import InProcessJobs, InProcessWork
from tunelab.jobs.runner import Runner
from tunelab.jobs.slots import write_slots
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.jobs.submit import cancel, retry


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = store_in(tmp_path)
    yield store
    store.close()


def in_process(store: Store) -> InProcessJobs:
    """A fake that does what the recipe of the substitute says."""
    begun: dict[str, int] = {}

    def work(work: InProcessWork) -> int | None:
        recipe = json.loads(work.attempt.spec.recipe)
        begun[work.attempt.spec.id] = begun.get(work.attempt.spec.id, 0) + 1
        work.log(f"{recipe.get('prints', 'at work')}\n".encode())
        if begun[work.attempt.spec.id] <= len(codes := recipe.get("codes", [])):
            return codes[begun[work.attempt.spec.id] - 1]
        for _ in range(recipe["steps"]):
            if work.stop.wait(recipe.get("step_s", 0)):
                return 143
        finish_run(store, work)
        return 0

    return InProcessJobs(work)


PLACES: dict[str, Callable[[Store], JobBackend]] = {"local": local, "in_process": in_process}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, store: Store) -> JobBackend:
    return PLACES[request.param](store)


def begun(store: Store, place: JobBackend, name: str = "job", number: int = 1, **recipe: object) -> JobAttempt:
    given = spec(name, **recipe)
    store.folder.job(name).write_spec(given)
    attempt = JobAttempt(spec=given, number=number)
    place.submit(attempt)
    return attempt


def ended(place: JobBackend, attempt: JobAttempt) -> Sighting:
    last = time.monotonic() + 60
    while (seen := place.state(attempt)).is_running:
        assert time.monotonic() < last
        time.sleep(0.01)
    return seen


def test_a_place_says_how_it_would_run_a_job(store: Store, place: JobBackend) -> None:
    assert "in up to 4 attempts" in place.plan(replace(spec("job"), retries=3))


def test_an_attempt_is_known_once_it_is_submitted_and_its_exit_code_when_it_ends(
    store: Store, place: JobBackend
) -> None:
    assert not place.find(JobAttempt(spec=spec("job"), number=1))
    attempt = begun(store, place, codes=[7])
    assert place.find(attempt)
    assert not place.find(replace(attempt, number=2))
    assert ended(place, attempt) == Sighting(is_running=False, code=7)


def test_an_attempt_that_is_submitted_again_after_a_lost_answer_runs_once(store: Store, place: JobBackend) -> None:
    attempt = begun(store, place, codes=[7, 8])
    place.submit(attempt)
    ended(place, attempt)
    place.submit(attempt)
    assert ended(place, attempt).code == 7
    assert place.logs("job").data.count(b"at work") == 1


def test_the_next_attempt_runs_in_its_own_right_and_goes_on_with_the_log(store: Store, place: JobBackend) -> None:
    ended(place, begun(store, place, codes=[7, 8]))
    end = place.logs("job").end
    assert ended(place, begun(store, place, number=2, codes=[7, 8])).code == 8
    part = place.logs("job", end)
    assert part.start == end
    assert part.data.count(b"at work") == 1
    assert place.logs("job").data.count(b"at work") == 2


def test_a_log_is_read_from_any_byte_and_is_empty_at_its_end(store: Store, place: JobBackend) -> None:
    assert place.logs("job") == place.logs("never") == place.logs("never", 0)
    ended(place, begun(store, place, prints="a line\nanother"))
    whole = place.logs("job").data
    assert b"a line\n" in whole
    for offset in (0, 1, len(whole) // 2, len(whole)):
        assert place.logs("job", offset).data == whole[offset:]


def test_an_attempt_is_asked_to_save_and_stop(store: Store, place: JobBackend) -> None:
    attempt = begun(store, place, steps=100_000, step_s=0.01)
    place.cancel(attempt)
    seen = ended(place, attempt)
    assert (seen.code, seen.timed_out) == (143, False)


def test_an_attempt_from_which_no_event_comes_ends_with_75(store: Store, place: JobBackend) -> None:
    attempt = begun(store, place, steps=100_000, step_s=0.01)
    place.end_stalled(attempt)
    assert ended(place, attempt) == Sighting(is_running=False, code=75, stalled=True)


def test_an_attempt_that_was_stopped_before_it_was_begun_is_not_begun(store: Store, place: JobBackend) -> None:
    attempt = JobAttempt(spec=spec("job"), number=1)
    store.folder.job("job").write_spec(attempt.spec)
    place.cancel(attempt)
    place.submit(attempt)
    assert not place.find(attempt)
    assert place.was_stopped(attempt)


def test_a_job_whose_cancelling_command_was_killed_after_its_word_is_cancelled(store: Store, place: JobBackend) -> None:
    store.add(spec("job"))
    store.add(spec("next"))
    place.cancel(JobAttempt(spec=spec("job"), number=1))
    job, following = run_until_done(store, place, slots=1)
    assert (job.state, following.state) == (JobState.CANCELLED, JobState.SUCCEEDED)
    assert [move.new for move in store.moves("job")] == ["queued", "starting", "cancelling", "cancelled"]


def test_the_runner_brings_each_job_to_its_end_by_what_the_place_says(store: Store, place: JobBackend) -> None:
    expected = {
        "clean": ({}, JobState.SUCCEEDED, 1),
        "fault": ({"codes": [2]}, JobState.FAILED, 1),
        "bug": ({"codes": [1, 1]}, JobState.FAILED, 1),
        "nothing": ({"codes": [0]}, JobState.FAILED, 1),
        "peer": ({"codes": [75, 75]}, JobState.SUCCEEDED, 3),
        "killed": ({"codes": [137, 143]}, JobState.SUCCEEDED, 3),
        "worn": ({"codes": [75] * 9}, JobState.FAILED, 3),
        "lost": ({"codes": [137] * 9}, JobState.LOST, 3),
    }
    for name, (recipe, _, _) in expected.items():
        store.add(replace(spec(name, **recipe), retries=2))
    jobs = run_until_done(store, place)
    assert {job.id: (job.state, job.attempt) for job in jobs} == {
        name: (state, attempt) for name, (_, state, attempt) in expected.items()
    }
    assert store.get("nothing").reason == "ended with exit code 0, and its run has no manifest.json"
    assert [move.new for move in store.moves("clean")] == ["queued", "starting", "running", "succeeded"]


def test_a_job_that_is_cancelled_saves_and_a_retry_goes_on(store: Store, place: JobBackend) -> None:
    store.add(spec("job", steps=300, step_s=0.005))
    run_until(store, place, lambda: store.get("job").state is JobState.RUNNING)
    job = cancel(store, place, store.get("job"))
    assert job.state is JobState.CANCELLING
    assert cancel(store, place, job) == job
    (job,) = run_until_done(store, place)
    assert (job.state, job.code) == (JobState.CANCELLED, 143)
    assert cancel(store, place, job) == job
    assert retry(store, job).attempt == 2
    (job,) = run_until_done(store, place)
    assert (job.state, job.attempt, job.max_attempt) == (JobState.SUCCEEDED, 2, 2 + job.max_attempt - 2)


def test_a_job_in_the_queue_is_cancelled_at_once_and_never_begun(store: Store, place: JobBackend) -> None:
    store.add(spec("job"))
    assert cancel(store, place, store.get("job")).state is JobState.CANCELLED
    run_until_done(store, place)
    assert store.get("job").state is JobState.CANCELLED
    assert place.logs("job").data == b""


def test_no_more_jobs_run_at_once_than_there_are_slots(store: Store, place: JobBackend) -> None:
    for number in range(5):
        store.add(spec(f"job-{number}", steps=10, step_s=0.01))
    write_slots(store.folder, 2)
    runner = Runner(store, place)
    most = 0
    while runner.tick():
        most = max(most, sum(count for state, count in store.counts().items() if state in ("starting", "running")))
        time.sleep(0.01)
    assert most == 2
    assert store.counts() == {JobState.SUCCEEDED: 5}


def test_a_runner_that_died_between_claim_and_start_costs_no_attempt(store: Store, place: JobBackend) -> None:
    job, _ = store.add(spec("job"))
    store.move(job, JobState.STARTING)
    (job,) = run_until_done(store, place)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    assert "the runner ended before it was begun" in [move.reason for move in store.moves("job")]


def test_a_run_whose_adapter_is_not_that_of_its_manifest_is_no_success(store: Store) -> None:
    def work(work: InProcessWork) -> int:
        finish_run(store, work)
        path = store.folder.workspace.path / "runs" / work.attempt.spec.id / "adapter" / "adapter_model.safetensors"
        path.write_text("others" if work.attempt.spec.id == "changed" else "weights")
        return 0 if work.attempt.spec.id != "later" else 1

    for name in ("changed", "whole", "later"):
        store.add(spec(name))
    changed, later, whole = run_until_done(store, InProcessJobs(work))
    assert changed.state is JobState.FAILED
    assert "files of its adapter are not those of its manifest: adapter_model.safetensors" in changed.reason
    assert (whole.state, whole.reason) == (JobState.SUCCEEDED, "")
    assert (later.state, later.reason) == (JobState.SUCCEEDED, "the run is whole; after that, ended with exit code 1")


def test_a_manifest_of_another_run_is_no_success(store: Store) -> None:
    def work(work: InProcessWork) -> int:
        finish_run(store, work)
        manifest = store.folder.workspace.path / "runs" / work.attempt.spec.id / "manifest.json"
        write_json(manifest, json.loads(manifest.read_text()) | {"run_id": "another"})
        return 0

    store.add(spec("job"))
    (job,) = run_until_done(store, InProcessJobs(work))
    assert (job.state, job.reason) == (
        JobState.FAILED,
        "ended with exit code 0, and its manifest is that of run another",
    )


def test_a_job_whose_own_file_is_gone_has_it_again_from_the_database(store: Store, place: JobBackend) -> None:
    store.add(spec("job"))
    file = store.folder.job("job").spec_file
    before = file.read_bytes()
    file.unlink()
    (job,) = run_until_done(store, place)
    assert job.state is JobState.SUCCEEDED
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["manifest", "adapter"])
def test_a_run_that_cannot_be_read_is_looked_at_again_and_keeps_no_other_job_from_its_end(
    name: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(work: InProcessWork) -> int:
        finish_run(store, work)
        return 0

    def refused(*_: object) -> dict[str, str]:
        raise OSError(5, "Input/output error")

    times = iter(range(0, 10_000, 2))
    runner = Runner(store, InProcessJobs(work), clock=lambda: next(times))
    store.add(spec("bad"))
    with monkeypatch.context() as patch:
        target = "verdict.sha256_folder" if name == "adapter" else "verdict.Run.read_manifest"
        patch.setattr(f"tunelab.jobs.{target}", refused)
        while "cannot be looked at" not in store.get("bad").reason:
            assert runner.tick()
        assert store.get("bad").reason == (
            f"it cannot be looked at now: the {name} of its run cannot be read (Input/output error)"
        )
        patch.setattr("tunelab.jobs.runner.fault_of", lambda run: refused() if run.id == "bad" else "")
        store.add(spec("good"))
        while not store.get("good").state.is_end:
            assert runner.tick()
    while runner.tick():
        time.sleep(0.001)
    assert [job.state for job in store.jobs()] == [JobState.SUCCEEDED] * 2


class Refusing(InProcessJobs):
    """A place that refuses to begin some jobs, until they are let in."""

    refused: tuple[str, ...] = ("bad",)
    num_refused = 0

    def submit(self, attempt: JobAttempt) -> None:
        if attempt.spec.id in self.refused:
            self.num_refused += 1
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        super().submit(attempt)


def test_a_job_that_cannot_be_started_holds_up_no_other_is_tried_again_ever_less_often_and_loses_no_attempt(
    store: Store,
) -> None:
    place = Refusing(in_process(store)._work)
    store.add(replace(spec("bad"), priority=9))
    store.add(spec("good"))
    now = 0.0
    runner = Runner(store, place, clock=lambda: now)
    for _ in range(1_000):
        runner.tick()
        if store.get("good").state is JobState.SUCCEEDED:
            break
        time.sleep(0.01)
    assert store.get("good").state is JobState.SUCCEEDED
    bad = store.get("bad")
    assert (bad.state, bad.attempt) == (JobState.QUEUED, 1)
    assert bad.reason == "it cannot be started now: Resource temporarily unavailable"
    assert place.num_refused == 1
    for now in range(1, 10_000):  # seconds
        runner.tick() if now % 5 == 0 else None
    assert 10_000 / 300 <= place.num_refused <= 10_000 / 300 + 10
    place.refused = ()
    run_until_done(store, place)
    assert (store.get("bad").state, store.get("bad").attempt) == (JobState.SUCCEEDED, 1)


def test_an_attempt_whose_shepherd_cannot_be_started_was_not_begun(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = JobAttempt(spec=spec("job"), number=1)
    store.folder.job("job").write_spec(attempt.spec)

    def refuse(*_: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    with monkeypatch.context() as context:
        context.setattr("tunelab.jobs.local._started", refuse)
        with pytest.raises(StorageError):
            local(store).submit(attempt)
    assert not local(store).find(attempt)
    local(store).submit(attempt)
    assert local(store).find(attempt)
    run_until(store, local(store), lambda: not local(store).state(attempt).is_running, ticks=False)


def test_a_job_that_is_due_again_is_not_over_and_can_be_cancelled(store: Store, place: JobBackend) -> None:
    store.add(replace(spec("job"), retries=1))
    job = store.get("job")
    for state in (JobState.STARTING, JobState.RUNNING, JobState.LOST):
        job = store.move(job, state) or job
    assert (job.state.is_end, job.is_over, store.due_again()) == (True, False, [job])
    job = cancel(store, place, job)
    assert (job.state, job.attempt, job.is_over) == (JobState.CANCELLED, 2, True)


@pytest.mark.parametrize(
    ("state", "code", "is_over"),
    [(JobState.FAILED, 75, False), (JobState.FAILED, 2, True), (JobState.TIMED_OUT, 9, False)],
)
def test_a_job_is_over_if_the_store_does_not_call_it_due(
    state: JobState, code: int, is_over: bool, store: Store
) -> None:
    store.add(spec("job"))
    job = store.get("job")
    for each in (JobState.STARTING, JobState.RUNNING):
        job = store.move(job, each) or job
    job = store.move(job, state, code=code) or job
    assert job.is_over is is_over
    assert (job not in store.due_again()) is is_over
    store.allow(job, 1)
    assert store.get("job").is_over
