"""The controller: begins the runs of a sweep one by one, stops those that are not worth their end, and may die at any
instant. What it knows lies in the files of the sweep, in the jobs and in the events of their runs.

Each move is written before it is made: settings before the job is submitted, the word that a run is pruned before it is
asked to stop. Whoever comes next makes the move that was left, and none twice: a job is found by its key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tunelab.errors import RunError
from tunelab.jobs.backend import JobBackend
from tunelab.jobs.job import Job
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.jobs.submit import GpuBytesOf, cancel, retry
from tunelab.recipes.recipe import settings_of
from tunelab.sweeps.curve import hopeless
from tunelab.sweeps.sampler import lies_in, propose
from tunelab.sweeps.sweep import Sweep
from tunelab.sweeps.trials import BASE, BEST, Trial, Trials, TrialState

_LOOK_S = 0.3
_FAILED_IN_A_ROW = 5

Watch = Callable[[Trial], None]
"""Given a run each time its state has changed."""


class Controller:
    """Moves a sweep on.

    Args:
        sweep: it.
        store: the jobs of its workspace.
        backend: the place where they run.
        advance: called before each look; whoever starts jobs and moves them on does so in it, or sees that it is done.
        watch: what is to be shown.
        gpu_bytes_of: estimates what a run holds on a GPU.
    """

    def __init__(
        self,
        sweep: Sweep,
        store: Store,
        backend: JobBackend,
        *,
        advance: Callable[[], object],
        watch: Watch = lambda trial: None,
        gpu_bytes_of: GpuBytesOf | None = None,
    ) -> None:
        self._sweep, self._plan, self._store, self._backend = sweep, sweep.plan, store, backend
        self._advance, self._watch = advance, watch
        self._gpu_bytes_of = gpu_bytes_of
        self.trials = Trials(sweep, store, gpu_bytes_of=gpu_bytes_of)
        """Its runs."""
        self._shown: dict[str, TrialState] = {}
        self._judged: set[str] = set()
        """Of trials that have finished: nothing about them changes any more."""

    def run(self) -> dict[str, Trial]:
        """Go on until all runs have ended, or until the sweep is asked to stop; return the runs by label.

        Raises:
            RunError: the recipe itself cannot be trained, or trial after trial fails.
        """
        self.go_on()
        while self.step():
            time.sleep(_LOOK_S)
        return self.trials.look()

    def step(self) -> bool:
        """Look at everything once, make the moves that are due, and return whether anything is left to do."""
        self._advance()
        trials = self._look()
        if self._sweep.stop_file.exists():
            return stop_runs(trials, self._store, self._backend)
        for trial in trials.values():
            if trial.state is TrialState.NEW:
                self.trials.submit(trial)
        self._prune(trials)
        _refuse_failures(trials)
        active = [trial for trial in trials.values() if not trial.state.is_end and trial.state != TrialState.STOPPED]
        if len(active) < self._plan.parallel and (following := self._following(trials, is_idle=not active)):
            self.trials.begin(*following)
            return True
        return bool(active)

    def go_on(self) -> None:
        """Take back a request to stop; queue again what was stopped, and the recipe's own runs that failed."""
        self._sweep.stop_file.unlink(missing_ok=True)
        for trial in self.trials.look().values():
            failed = trial.state is TrialState.FAILED and trial.label.startswith(BASE)
            if trial.job is not None and (failed or trial.state is TrialState.STOPPED) and trial.job.state.is_end:
                retry(self._store, trial.job)
        self.trials = Trials(self._sweep, self._store, gpu_bytes_of=self._gpu_bytes_of)

    def _look(self) -> dict[str, Trial]:
        trials = self.trials.look()
        for trial in trials.values():
            if self._shown.get(trial.label) is not trial.state:
                self._shown[trial.label] = trial.state
                self._watch(trial)
        return trials

    def _prune(self, trials: Mapping[str, Trial]) -> None:
        """Stop the trials that are much worse than those before them.

        One that has ended meanwhile is judged, too, as far as that is needed for the same trials to follow: what is
        proposed next must not depend on when the controller looked.
        """
        judged = (TrialState.RUNNING, TrialState.FINISHED) if self._plan.parallel == 1 else (TrialState.RUNNING,)
        numbered = [trial for trial in trials.values() if trial.number is not None]
        for place, trial in enumerate(numbered):
            if not trial.reason and trial.state in judged and trial.label not in self._judged:
                pruning = hopeless(trial.curve, [other.curve for other in numbered[:place]])
                if trial.state is TrialState.FINISHED:
                    self._judged.add(trial.label)
                if pruning is None:
                    continue
                self.trials.prune(trial.label, share=pruning.share, reason=pruning.reason)
                trial = replace(trial, reason=pruning.reason)
            if trial.state is TrialState.RUNNING and trial.reason and trial.job is not None:
                stop_job(trial.job, self._store, self._backend)

    def _following(self, trials: Mapping[str, Trial], *, is_idle: bool) -> tuple[str, dict[str, Any]] | None:
        """Return label and settings of the run that begins next; None if none does now."""
        for number, seed in enumerate(self._plan.seeds, start=1):
            if (label := f"{BASE}{number}") not in trials:
                return label, {"training.seed": seed}
        numbered = [trial for trial in trials.values() if trial.number is not None]
        number = len(numbered) + 1
        if number <= self._plan.num_trials and self._has_time(trials):
            before = [*self._base_as_trial(trials), *numbered]
            settings = propose(self._plan.space, number, before, seed=self._plan.seeds[0])
            if settings is not None:
                return str(number), settings
        return self._repetition(trials) if is_idle else None

    def _base_as_trial(self, trials: Mapping[str, Trial]) -> list[Trial]:
        settings = settings_of(self._sweep.recipe)
        base = trials[f"{BASE}1"]
        return [replace(base, settings=settings)] if lies_in(self._plan.space, settings) else []

    def _repetition(self, trials: Mapping[str, Trial]) -> tuple[str, dict[str, Any]] | None:
        """Return the next run of the best trial with a seed of the recipe's own runs; None after the last."""
        best = best_of(trials)
        if best is None or not self._plan.num_reserved:
            return None
        for number, seed in enumerate(self._plan.seeds[1:], start=2):
            if (label := f"{BEST}{number}") not in trials:
                return label, {**best.settings, "training.seed": seed}
        return None

    def _has_time(self, trials: Mapping[str, Trial]) -> bool:
        return self._plan.budget_s is None or time_at_work(trials, self._store) < self._plan.budget_s


def best_of(trials: Mapping[str, Trial]) -> Trial | None:
    """Return the finished trial with the lowest held-out loss, if it is lower than that of the recipe's own runs."""
    finished = [trial for trial in trials.values() if trial.loss is not None]
    best = min((trial for trial in finished if trial.number), key=lambda trial: trial.loss or 0.0, default=None)
    base = [trial.loss for trial in finished if trial.label.startswith(BASE) and trial.loss is not None]
    if best is None or best.loss is None or (base and best.loss >= sum(base) / len(base)):
        return None
    return best


def stop_runs(trials: Mapping[str, Trial], store: Store, backend: JobBackend) -> bool:
    """Ask every run that is at work to save and stop; return whether any still is."""
    active = [trial.job for trial in trials.values() if trial.state in (TrialState.QUEUED, TrialState.RUNNING)]
    for job in active:
        if job is not None:
            stop_job(job, store, backend)
    return bool(active)


def stop_job(job: Job, store: Store, backend: JobBackend) -> None:
    """Ask a job to save and stop, unless it was asked already."""
    if job.state is not JobState.CANCELLING:
        cancel(store, backend, job)


def time_at_work(trials: Mapping[str, Trial], store: Store) -> float:
    """Return the seconds in which at least one run of a sweep was at work, as the moves of their jobs tell."""
    spans = sorted(span for trial in trials.values() if trial.job for span in _spans(store, trial.job))
    total, reached = 0.0, 0.0
    for start, end in spans:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _spans(store: Store, job: Job) -> list[tuple[float, float]]:
    moves = store.moves(job.id)
    ends = [*(move.time for move in moves[1:]), time.time()]
    at_work = (JobState.RUNNING, JobState.CANCELLING)
    return [(move.time, end) for move, end in zip(moves, ends, strict=True) if move.new in at_work]


def _refuse_failures(trials: Mapping[str, Trial]) -> None:
    ended = [trial for trial in trials.values() if trial.state.is_end and trial.number is not None]
    last = ended[-_FAILED_IN_A_ROW:]
    base = [trial for trial in trials.values() if trial.label.startswith(BASE) and trial.state is TrialState.FAILED]
    if base:
        raise _failed("the recipe itself cannot be trained", base[0])
    if len(last) == _FAILED_IN_A_ROW and all(trial.state is TrialState.FAILED for trial in last):
        raise _failed(f"the last {_FAILED_IN_A_ROW} trials failed", last[-1])


def _failed(what: str, trial: Trial) -> RunError:
    remedy = f"Its log: tunelab jobs logs {trial.job.id}" if trial.job is not None else ""
    return RunError(f"{what}: {trial.reason}", remedy=remedy)
