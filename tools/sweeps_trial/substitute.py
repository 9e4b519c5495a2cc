"""A recipe with rows, a sweep of it, and a substitute for training that takes no time."""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from tunelab.events import EvaluationDone, EventLog, RunFinished, RunStarted
from tunelab.files import sha256_file, sha256_text, write_json
from tunelab.jobs.in_process import InProcessJobs, InProcessWork
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.runner import Runner
from tunelab.jobs.slots import write_slots
from tunelab.jobs.store import Store
from tunelab.recipes import ResolvedRecipe, resolve_recipe
from tunelab.sweeps.controller import Controller
from tunelab.sweeps.noise import GroupLosses
from tunelab.sweeps.space import read_space
from tunelab.sweeps.sweep import Sweep, SweepPlan
from tunelab.sweeps.trials import Trial
from tunelab.workspace import Run, Workspace

OVER = ("training.learning_rate=1e-4..1e-1:log", "lora.r=4,8,16")
TOTAL_STEPS, EVAL_STEPS = 20, 2
_PATIENCE_S = 120


def recipe_in(folder: Path, *settings: str) -> ResolvedRecipe:
    """A recipe over the embedded model with 200 rows, a fifth of them held out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.jsonl").write_text("".join(f"{json.dumps(_row(number))}\n" for number in range(200)))
    text = "data: {train_files: train.jsonl, eval_fraction: 0.2}\ntraining: {eval_steps: 2, num_training_steps: 20}\n"
    file = folder / "recipe.yaml"
    file.write_text(text)
    return resolve_recipe(file, overrides=settings, environment={})


def sweep_in(
    folder: Path, *, num_trials: int = 6, parallel: int = 1, seeds: int = 2, budget_s: float | None = None
) -> Sweep:
    """A sweep that has begun, without having looked at the data."""
    resolved = recipe_in(folder)
    (first, second), _ = read_space(OVER, resolved)
    JobsFolder(workspace=Workspace(path=folder)).make()
    sweep = Sweep(Workspace(path=folder), "small")
    plan = SweepPlan(
        num_trials=num_trials,
        ranges=(first,),  # type: ignore[arg-type]
        choices=(second,),  # type: ignore[arg-type]
        order=(first.key, second.key),
        seeds=tuple(range(42, 42 + seeds)),
        parallel=parallel,
        budget_s=budget_s,
        total_steps=TOTAL_STEPS,
        num_reserved=20,
        num_measured=20,
        own={"data.split_seed": 42, "data.eval_reserved": 0.5},
    )
    sweep.begin(plan, resolved.anchored)
    return sweep


def loss_of(text: str, step: int) -> float:
    """The held-out loss that the substitute has for a recipe: lowest at a learning rate of 0.003 and rank 8."""
    (rate,), (rank,), (seed,) = (
        re.findall(rf"^  {name}: (\S+)$", text, re.MULTILINE)[:1] for name in ("learning_rate", "r", "seed")
    )
    luck = int(sha256_text(seed)[:4], 16) / 0xFFFF / 50
    floor = 0.5 + abs(math.log10(float(rate) / 3e-3)) + (0.2 if rank != "8" else 0.0) + luck
    return floor + math.exp(-5 * step / TOTAL_STEPS)


class Substitute:
    """Trains nothing, and leaves what a training leaves; counts how often each run was begun.

    Args:
        store: of the jobs.
        step_s: seconds before each measurement.
        fails: a pattern of recipes that end with exit code 2.
        changes: a pattern of recipes whose runs read other data.
        holds: how the job ids begin of runs that wait in the middle until they are asked to stop.
    """

    def __init__(
        self, store: Store, *, step_s: float = 0.0, fails: str = "", changes: str = "", holds: Collection[str] = ()
    ) -> None:
        self._store, self.step_s, self._holds = store, step_s, tuple(holds)
        self._fails, self._changes = fails, changes
        self.begun: Counter[str] = Counter()

    def __call__(self, work: InProcessWork) -> int:
        run = Run(path=self._store.folder.workspace.path / "runs" / work.attempt.spec.id)
        self.begun[run.id] += 1
        if self._fails and re.search(self._fails, work.attempt.spec.recipe, re.MULTILINE):
            return 2
        run.path.mkdir(parents=True, exist_ok=True)
        with EventLog(run.events_file) as events:
            events.emit(_started(run.id))
            for step in range(EVAL_STEPS, TOTAL_STEPS + 1, EVAL_STEPS):
                loss = loss_of(work.attempt.spec.recipe, step)
                is_held = step > TOTAL_STEPS / 2 and run.id.startswith(self._holds)
                if work.stop.wait(_PATIENCE_S if is_held else self.step_s):
                    return 143
                events.emit(EvaluationDone(step=step, eval_loss=loss, eval_tokens=9, best=True, duration_s=0))
            events.emit(_finished(loss))
        has_changed = self._changes and re.search(self._changes, work.attempt.spec.recipe, re.MULTILINE)
        _leave_adapter(run, data="other" if has_changed else "same")
        return 0


def run_until_done(controller: Controller) -> None:
    """Be the controller until nothing is left to do."""
    last = time.monotonic() + _PATIENCE_S
    while controller.step():
        assert time.monotonic() < last
        time.sleep(0.001)


def controller_of(sweep: Sweep, store: Store, place: InProcessJobs) -> Controller:
    """A controller that is the runner, too."""
    write_slots(store.folder, sweep.plan.parallel)
    return Controller(sweep, store, place, advance=Runner(store, place).tick)


def measured(sweep: Sweep, runs: Sequence[Run]) -> dict[str, GroupLosses]:
    """Losses on the rows that no trial saw: those of the substitute at the end, a little otherwise in each group."""
    texts = {run.id: (sweep.workspace.path / ".tunelab" / "job" / run.id / "job.json").read_text() for run in runs}
    return {
        run_id: {f"g{n}": ((loss_of(text.replace("\\n", "\n"), TOTAL_STEPS) + n / 100) * 5, 5.0) for n in range(20)}
        for run_id, text in texts.items()
    }


def summary(trials: dict[str, Trial]) -> dict[str, tuple[object, ...]]:
    """Return what must not depend on when a controller was killed."""
    return {label: (dict(t.settings), t.state, t.loss, t.reason) for label, t in trials.items()}


def _row(number: int) -> dict[str, object]:
    asked = {"role": "user", "content": f"row {number}: is the lamp in stock?"}
    return {"messages": [asked, {"role": "assistant", "content": "Of course."}]}


def _started(run_id: str) -> RunStarted:
    return RunStarted(
        run_id=run_id,
        total_steps=TOTAL_STEPS,
        num_train_sequences=1,
        num_eval_sequences=1,
        num_train_tokens=1,
        num_distinct_tokens=1,
        counts_epoch=True,
        num_trainable=1,
    )


def _finished(loss: float) -> RunFinished:
    return RunFinished(
        step=TOTAL_STEPS,
        adapter_step=TOTAL_STEPS,
        best_eval_loss=loss,
        reason="steps_done",
        adapter_sha256="",
        adapter_bytes=1,
    )


def _leave_adapter(run: Run, *, data: str) -> None:
    run.adapter.mkdir(exist_ok=True)
    weights = run.adapter / "adapter_model.safetensors"
    weights.write_text("weights")
    manifest = {
        "run_id": run.id,
        "base_model": "none",
        "template_sha256": "",
        "data_sha256": data,
        "rendered_on": "2026-11-30",
        "files": {weights.name: sha256_file(weights)},
    }
    write_json(run.manifest_file, manifest)
