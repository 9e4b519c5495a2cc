"""A run from which no event comes is called stalled, by a clock that only the runner has; it may end with 75."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from jobs_files import local, run_until, run_until_done, spec, store_in

from tunelab.cli.main import run as tunelab
from tunelab.jobs.runner import Runner
from tunelab.jobs.stall import StallWatch
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store

LONG = {"steps": 100_000, "step_s": 0.01}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = store_in(tmp_path)
    yield store
    run_until_done(store, local(store))
    store.close()


def add_step(events: Path, seconds: float) -> None:
    step = {"event": "step", "time": 1.0, "step": 1, "epoch": 0.1, "loss": 1.0, "learning_rate": 0.1, "grad_norm": 1.0}
    tokens = {"trained_tokens": 1, "real_tokens": 1, "distinct_tokens": 1}
    events.parent.mkdir(parents=True, exist_ok=True)
    with events.open("a") as file:
        file.write(json.dumps(step | tokens | {"duration_s": seconds}) + "\n")


@pytest.mark.parametrize(("step_s", "limit_s"), [(None, 300), (1.0, 300), (60.0, 600)])
def test_a_run_is_stalled_after_ten_steps_time_and_never_before_five_minutes(
    tmp_path: Path, step_s: float | None, limit_s: float
) -> None:
    events = tmp_path / "events.jsonl"
    watch = StallWatch(events, 1000.0)
    if step_s is not None:
        add_step(events, step_s)
    assert not watch.is_stalled(1000.0)
    assert not watch.is_stalled(999.0 + limit_s)
    assert watch.is_stalled(1000.0 + limit_s)
    add_step(events, 1.0)
    assert not watch.is_stalled(1001.0 + limit_s)
    assert watch.has_moved


def test_a_stalled_job_is_shown_so_with_its_stack_until_an_event_comes(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin" / "py-spy"
    stand_in.write_text('#!/bin/sh\necho "in all_reduce of $1 $2 $3"\n')
    stand_in.chmod(0o700)
    monkeypatch.setenv("PATH", f"{stand_in.parent}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tunelab.cli.jobs_here.bring_up_to_date", lambda _: None)
    store.add(replace(spec("job", **LONG), retries=0))
    run_until(store, local(store), lambda: (store.folder.job("job").attempt(1) / "began.json").exists())
    pid = json.loads((store.folder.job("job").attempt(1) / "began.json").read_text())["pid"]
    now = [0.0]
    runner = Runner(store, local(store), clock=lambda: now[0])
    for now[0] in (0.0, 299.0):
        runner.tick()
    assert store.get("job").reason == ""
    now[0] = 300.0
    monkeypatch.setattr("time.time", lambda: 365 * 86_400.0)  # a clock set back by decades decides nothing
    runner.tick()
    assert "stalled: no event since " in _said(capsys, "list")
    assert f"in all_reduce of dump --pid {pid}" in _said(capsys, "show", "job")
    add_step(tmp_path / "runs" / "job" / "events.jsonl", 1.0)
    runner.tick()
    assert store.get("job").reason == ""
    local(store).cancel(runner._attempt(store.get("job")), now=True)


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert tunelab(["jobs", *arguments]) == 0
    return capsys.readouterr().out


def test_a_stalled_attempt_is_ended_with_75_and_the_next_one_goes_on(store: Store) -> None:
    given = spec("job", steps=30, step_s=0.01, sleeps_s=0.5)
    store.add(replace(given, stall_timeout_s=30.0, retries=1))
    begun = time.monotonic()
    runner = Runner(store, local(store), clock=lambda: 100 * (time.monotonic() - begun))  # a hundred times as fast
    while store.needs_runner() and store.get("job").attempt == 1:
        runner.tick()
        time.sleep(0.01)
    (end,) = [move for move in store.moves("job") if move.new == JobState.FAILED]
    assert end.reason == "no event for longer than its --stall-timeout; ended with exit code 75"
    (job,) = run_until_done(store, local(store))
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)


def test_a_stalled_attempt_is_no_cancelled_one_when_the_database_is_made_again(store: Store) -> None:
    store.add(replace(spec("job", ignores=True, **LONG), grace_s=0.2, retries=0))
    run_until(store, local(store), lambda: store.get("job").state is JobState.RUNNING)
    local(store).end_stalled(Runner(store, local(store))._attempt(store.get("job")))
    store.folder.database.unlink()
    again = store_in(store.folder.workspace.path)
    assert again.get("job").state is JobState.RUNNING
    again.close()
    assert [job.state for job in run_until_done(store, local(store))] == [JobState.FAILED]
    assert store.get("job").code == 75
