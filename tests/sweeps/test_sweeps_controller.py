"""A sweep runs no trial twice and loses none, wherever its controller is killed; equal seeds give equal trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs_trial.kills import spec
from sweeps_trial.kills import KilledError, kill_trial, run_with_kills, store_in, watched_moves
from sweeps_trial.substitute import Substitute, controller_of, run_until_done, summary, sweep_in
from tunelab.errors import RunError
from tunelab.jobs.in_process import InProcessJobs
from tunelab.jobs.job import Move
from tunelab.jobs.runner import Runner
from tunelab.jobs.submit import cancel, retry
from tunelab.sweeps import controller as controller_module
from tunelab.sweeps.controller import best_of, stop_runs, time_at_work
from tunelab.sweeps.sweep import Sweep
from tunelab.sweeps.trials import Trial, TrialState


def swept(sweep: Sweep, **how: Any) -> tuple[dict[str, Trial], Substitute]:
    """The runs of an undisturbed sweep, and what trained them."""
    store = store_in(sweep.workspace.path)
    work = Substitute(store, **how)
    controller = controller_of(sweep, store, InProcessJobs(work))
    run_until_done(controller)
    return controller.trials.look(), work


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trial]:
    return swept(sweep_in(tmp_path_factory.mktemp("undisturbed")))[0]


def test_the_recipe_comes_first_with_its_seeds_then_the_trials_then_the_best_with_the_other_seeds(
    undisturbed: dict[str, Trial],
) -> None:
    assert list(undisturbed) == ["base-1", "base-2", "1", "2", "3", "4", "5", "6", "best-2"]
    assert [undisturbed[label].settings for label in ("base-1", "base-2")] == [
        {"training.seed": 42},
        {"training.seed": 43},
    ]
    best = best_of(undisturbed)
    assert best is not None
    assert undisturbed["best-2"].settings == {**best.settings, "training.seed": 43}
    assert best.loss == min(t.loss for t in undisturbed.values() if t.number and t.loss is not None)
    assert {trial.state for trial in undisturbed.values()} == {TrialState.FINISHED, TrialState.PRUNED}
    settings = [tuple(trial.settings.values()) for trial in undisturbed.values()]
    assert len(set(settings)) == len(settings)


def test_the_same_seed_gives_the_same_trials(undisturbed: dict[str, Trial], tmp_path: Path) -> None:
    again, work = swept(sweep_in(tmp_path))
    assert summary(again) == summary(undisturbed)
    assert set(work.begun.values()) == {1}


def test_trials_do_not_depend_on_when_the_controller_looks(undisturbed: dict[str, Trial], tmp_path: Path) -> None:
    slow, _ = swept(sweep_in(tmp_path), step_s=0.01)  # pruned while they run, and not afterwards
    assert summary(slow) == summary(undisturbed)


def test_a_controller_that_is_killed_before_and_after_every_move_runs_no_trial_twice_and_loses_none(
    undisturbed: dict[str, Trial], tmp_path: Path
) -> None:
    sweep, store = sweep_in(tmp_path), store_in(tmp_path)
    pruned = [f"small-{int(label):03d}-" for label, t in undisturbed.items() if t.state is TrialState.PRUNED]
    killed: list[str] = []

    def die_once(move: str) -> None:
        if move not in killed:
            killed.append(move)
            raise KilledError

    with watched_moves(die_once):
        trials = run_with_kills(sweep, store, InProcessJobs(Substitute(store, holds=pruned)))
    assert len(killed) >= 4 * len(undisturbed)
    assert {move.partition(" of ")[0] for move in killed} >= {
        f"{when} {move}" for when in ("before", "after") for move in ("write_json", "add", "cancel")
    }
    assert summary(trials) == summary(undisturbed)
    assert len(store.jobs()) == len(undisturbed)


@pytest.mark.slow
def test_a_hundred_trials_survive_kills_at_random_moves(tmp_path: Path) -> None:
    trial = kill_trial(tmp_path, num_trials=100, parallel=4, chance=0.1, seed=1)
    assert trial.wrong == []
    assert trial.num_kills > 30


def test_several_runs_are_at_work_at_once_and_their_trials_differ(tmp_path: Path) -> None:
    trials, _ = swept(sweep_in(tmp_path, parallel=3, num_trials=5), step_s=0.003)
    settings = [tuple(trial.settings.values()) for trial in trials.values()]
    assert len(set(settings)) == len(settings)
    assert all(trial.state.is_end for trial in trials.values())


def test_a_sweep_that_is_stopped_saves_its_run_and_goes_on_with_it(
    undisturbed: dict[str, Trial], tmp_path: Path
) -> None:
    sweep, store = sweep_in(tmp_path), store_in(tmp_path)
    work = Substitute(store, step_s=0.02)
    place = InProcessJobs(work)
    controller = controller_of(sweep, store, place)
    while (trials := controller.trials.look()).get("1", Trial(label="", settings={})).state is not TrialState.RUNNING:
        controller.step()
    sweep.stop_file.touch()
    assert stop_runs(trials, store, place)
    run_until_done(controller)
    stopped = controller.trials.look()
    assert stopped["1"].state is TrialState.STOPPED
    assert "2" not in stopped
    work.step_s = 0.0
    resumed = controller_of(sweep, store, place)
    resumed.go_on()
    run_until_done(resumed)
    assert summary(resumed.trials.look()) == summary(undisturbed)
    assert not sweep.stop_file.exists()


def test_a_trial_that_is_cancelled_by_hand_holds_up_no_others(tmp_path: Path) -> None:
    sweep, store = sweep_in(tmp_path, num_trials=3), store_in(tmp_path)
    work = Substitute(store, step_s=0.01)
    place = InProcessJobs(work)
    controller = controller_of(sweep, store, place)
    while (trials := controller.trials.look()).get("1", Trial(label="", settings={})).state is not TrialState.RUNNING:
        controller.step()
    job = trials["1"].job
    assert job is not None
    cancel(store, place, job)
    run_until_done(controller)
    trials = controller.trials.look()
    assert trials["1"].state is TrialState.STOPPED
    assert trials["3"].state.is_end


def test_a_pruned_trial_was_saved_and_can_be_gone_on_with(undisturbed: dict[str, Trial], tmp_path: Path) -> None:
    (first, *_) = [label for label, trial in undisturbed.items() if trial.state is TrialState.PRUNED]
    trials, work = swept(sweep_in(tmp_path), holds=[f"small-{int(first):03d}-"])
    assert (trials[first].state, trials[first].loss) == (TrialState.PRUNED, None)
    assert "of the run" in trials[first].reason
    job = trials[first].job
    assert job is not None
    assert job.state == "cancelled"
    store = store_in(tmp_path)
    retry(store, job)
    work.step_s, place = 0.0, InProcessJobs(Substitute(store))
    runner = Runner(store, place)
    while store.needs_runner():
        runner.tick()
    assert store.get(job.id).state == "succeeded"


def test_a_recipe_that_cannot_be_trained_ends_the_sweep_with_the_way_to_its_log(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"the recipe itself cannot be trained: ended with exit code 2\. Its log: tunelab"
    ):
        swept(sweep_in(tmp_path), fails="^  seed: 42$")


def test_a_trial_that_fails_is_one_of_many_and_trial_after_trial_that_fails_ends_the_sweep(tmp_path: Path) -> None:
    trials, _ = swept(sweep_in(tmp_path / "some", num_trials=4), fails="^  r: 4$")
    assert {t.state for t in trials.values() if t.settings.get("lora.r") == 4} <= {TrialState.FAILED}
    assert [t.number for t in trials.values() if t.number] == [1, 2, 3, 4]
    with pytest.raises(RunError, match="the last 5 trials failed"):
        swept(sweep_in(tmp_path / "all", num_trials=9), fails=r"^  r: (4|8)$|^  learning_rate: (?!0.0002$)")


def test_no_trial_begins_after_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller_module, "time_at_work", lambda trials, store: 60.0 * len(trials))
    sweep = sweep_in(tmp_path, num_trials=50, budget_s=5 * 60)
    assert [label for label in swept(sweep)[0] if label.isdecimal()] == ["1", "2", "3"]


def test_the_budget_counts_the_time_in_which_a_run_was_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_in(tmp_path)
    jobs = [store.add(spec(name))[0] for name in ("first", "second")]
    trials = {job.id: Trial(label=job.id, settings={}, job=job) for job in jobs}
    times = {"first": [0, 1, 5, 5, 100, 110], "second": [3, 4, 8]}  # 1 to 5 and 100 to 110, and 4 to 8
    states = ["queued", "running", "lost", "queued", "running", "succeeded"]

    def moves(job_id: str) -> list[Move]:
        pairs = zip(states, times[job_id], strict=False)
        return [Move(id=job_id, attempt=1, old="", new=state, time=time, reason="") for state, time in pairs]

    monkeypatch.setattr(store, "moves", moves)
    assert time_at_work(trials, store) == 7 + 10
