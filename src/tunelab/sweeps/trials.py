"""The runs of a sweep. Each is a job with a key of its own, `sweep/NAME/LABEL`, and can be repeated by hand.

Labels: `base-1`, `base-2`, … are the recipe itself with its seeds; `1`, `2`, … the trials; `best-2`, `best-3`, … the
best trial with the seeds of `base-2`, `base-3`, …. Where a run is follows from its job and from the events of its run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tunelab.events import EvaluationDone, EventIndex, RunFinished, RunStarted
from tunelab.files import write_file, write_json
from tunelab.jobs.job import Job
from tunelab.jobs.state import JobState
from tunelab.jobs.store import Store
from tunelab.jobs.submit import GpuBytesOf, spec_of, submit
from tunelab.recipes.recipe import changed
from tunelab.sweeps.curve import LossCurve
from tunelab.sweeps.read_record import read_record
from tunelab.sweeps.sweep import BEGIN_AGAIN, Sweep
from tunelab.workspace import Run

BASE, BEST = "base-", "best-"


class TrialState(StrEnum):
    """Where a run of a sweep is."""

    NEW = "new"
    """Its settings are written, its job is not submitted."""
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    PRUNED = "pruned"
    """Stopped early since others were better at the same point; saved, and can be gone on with."""
    STOPPED = "stopped"
    """Saved and stopped without a word of the sweep's; `resume` goes on with it."""
    FAILED = "failed"

    @property
    def is_end(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (TrialState.FINISHED, TrialState.PRUNED, TrialState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A run of a sweep as it was seen."""

    label: str
    settings: Mapping[str, Any]
    """Dotted key -> value, where it differs from the recipe."""
    state: TrialState = TrialState.NEW
    job: Job | None = None
    curve: LossCurve = field(default_factory=LossCurve)
    """Held-out loss by the share of the run that is done; of a pruned one up to where it was pruned."""
    loss: float | None = None
    """Held-out loss of the adapter that it kept; None unless it is finished."""
    reason: str = ""
    """Why it failed, or why it was pruned."""

    @property
    def number(self) -> int | None:
        """Of a trial; None for a run of the recipe itself or a repetition of the best."""
        return int(self.label) if self.label.isdecimal() else None


class Trials:
    """The runs of a sweep, looked at again and again. What has ended is not read anew.

    Args:
        sweep: it.
        store: of the jobs of its workspace.
        gpu_bytes_of: estimates what a run holds on a GPU; without, it has its GPU to itself.
    """

    def __init__(self, sweep: Sweep, store: Store, *, gpu_bytes_of: GpuBytesOf | None = None) -> None:
        self._sweep, self._store, self._gpu_bytes_of = sweep, store, gpu_bytes_of
        self._ended: dict[str, Trial] = {}
        self._reports: dict[str, _Report] = {}

    def look(self) -> dict[str, Trial]:
        """Return every run by its label, in the order in which they begin."""
        due = {job.id for job in self._store.due_again()}
        found = {file.stem: file for file in self._sweep.trials.glob("*.json")}
        trials = {}
        for label in sorted(found, key=_order):
            if (trial := self._ended.get(label)) is None:
                trial = self._seen(
                    Trial(label=label, settings=read_record(found[label], dict[str, Any], remedy=BEGIN_AGAIN)), due
                )
                if trial.state.is_end:
                    self._ended[label] = trial
            trials[label] = trial
        return trials

    def begin(self, label: str, settings: Mapping[str, Any]) -> None:
        """Write the settings of a run, then submit its job; the job may be there, and the file."""
        file = self._sweep.trials / f"{label}.json"
        if not file.exists():
            write_json(file, dict(settings))
        self.submit(Trial(label=label, settings=settings))

    def submit(self, trial: Trial) -> None:
        """Submit the job of a run. Settings that cannot hold together make it a failed one."""
        try:
            recipe = changed(self._sweep.recipe, trial.settings)
        except ValidationError as error:
            write_file(self._failed_file(trial.label), error.errors()[0]["msg"])
            return
        resolved = replace(self._sweep.resolved, recipe=recipe)
        name = f"{self._sweep.name}-{trial.label if trial.number is None else f'{trial.number:03d}'}"
        spec = spec_of(
            resolved,
            self._store.folder,
            name=name,
            key=self.key(trial.label),
            gpu_bytes_of=self._gpu_bytes_of,
            warm=True,
        )
        submit(self._store, spec)

    def prune(self, label: str, *, share: float, reason: str) -> None:
        """Note that a run is to be stopped early, at a share of it; stopping it is for others."""
        write_json(self._pruned_file(label), {"share": share, "reason": reason})
        self._ended.pop(label, None)

    def key(self, label: str) -> str:
        """Return the key of the job of a run."""
        return f"sweep/{self._sweep.name}/{label}"

    def run_of(self, trial: Trial) -> Run:
        """Return the run of a submitted trial."""
        assert trial.job is not None
        return Run(path=self._sweep.workspace.path / "runs" / trial.job.id)

    def _seen(self, trial: Trial, due: set[str]) -> Trial:
        if (failed := self._failed_file(trial.label)).exists():
            return replace(trial, state=TrialState.FAILED, reason=failed.read_text(encoding="utf-8"))
        job = self._store.with_key(self.key(trial.label))
        if job is None:
            return trial
        trial = replace(trial, job=job)
        report = self._reports.setdefault(trial.label, _Report(EventIndex(self.run_of(trial).events_file)))
        report.read(keeps_best=self._sweep.recipe.training.load_best_model_at_end)
        trial = replace(trial, curve=report.curve)
        if (pruned := self._pruned_file(trial.label)).exists():
            mark = read_record(pruned, dict[str, Any], remedy=BEGIN_AGAIN)
            state = TrialState.PRUNED if job.state.is_end and job.id not in due else TrialState.RUNNING
            return replace(trial, state=state, curve=report.curve.until(mark["share"]), reason=mark["reason"])
        state = _state_of(job, is_due=job.id in due)
        if state is TrialState.FINISHED and report.loss is None:
            return replace(trial, state=TrialState.FAILED, reason="it measured no held-out loss that is a number")
        reason = job.reason if state is TrialState.FAILED else ""
        return replace(trial, state=state, loss=report.loss if state is TrialState.FINISHED else None, reason=reason)

    def _pruned_file(self, label: str) -> Path:
        return self._sweep.trials / f"{label}.pruned"

    def _failed_file(self, label: str) -> Path:
        return self._sweep.trials / f"{label}.failed"


class _Report:
    """What the events of a run say, read from where the last look ended."""

    def __init__(self, index: EventIndex) -> None:
        self._index, self._offset = index, 0
        self._losses: dict[int, float] = {}
        self._total_steps = 0
        self.curve = LossCurve()
        self.loss: float | None = None

    def read(self, *, keeps_best: bool) -> None:
        events, self._offset = self._index.news(self._offset)
        for event in events:
            match event:
                case RunStarted():
                    self._total_steps = event.total_steps
                case EvaluationDone():
                    self._losses[event.step] = event.eval_loss
                case RunFinished():
                    self.loss = self._losses.get(event.adapter_step)
        if events and self._total_steps:
            self.curve = LossCurve.of(self._losses, total_steps=self._total_steps, keeps_best=keeps_best)


def _state_of(job: Job, *, is_due: bool) -> TrialState:
    if job.state is JobState.SUCCEEDED:
        return TrialState.FINISHED
    if job.state is JobState.CANCELLED:
        return TrialState.STOPPED
    if job.state.is_end and not is_due:
        return TrialState.FAILED
    return TrialState.QUEUED if job.state in (JobState.QUEUED, JobState.STARTING) else TrialState.RUNNING


def _order(label: str) -> tuple[int, int]:
    kind, _, number = label.rpartition("-")
    return ("base", "", "best").index(kind), int(number)
