"""Kill the controller of a sweep before or after its moves, and see that no trial is run twice and none is lost."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from sweeps_trial.substitute import Substitute, controller_of, run_until_done, sweep_in
from tunelab.jobs.in_process import InProcessJobs
from tunelab.jobs.job_folder import JobsFolder
from tunelab.jobs.store import Store
from tunelab.sweeps import controller, trials
from tunelab.sweeps.sweep import Sweep
from tunelab.workspace import Workspace


class KilledError(BaseException):
    """The controller died."""


@contextmanager
def watched_moves(watch: Callable[[str], None]) -> Iterator[None]:
    """Call `watch` before and after each move of a controller within the context."""
    moves: list[tuple[Any, str]] = [
        (trials, "write_json"),
        (trials, "write_file"),
        (controller, "cancel"),
        (controller, "retry"),
        (Store, "add"),
    ]
    with ExitStack() as stack:
        for place, name in moves:
            stack.enter_context(mock.patch.object(place, name, _watched(getattr(place, name), name, watch)))
        yield


def _watched(original: Callable[..., Any], name: str, watch: Callable[[str], None]) -> Callable[..., Any]:
    def move(*arguments: Any, **named: Any) -> Any:
        of = next((each.key for each in arguments if hasattr(each, "key")), arguments[0])
        watch(f"before {name} of {of}")
        result = original(*arguments, **named)
        watch(f"after {name} of {of}")
        return result

    return move


def run_with_kills(sweep: Sweep, store: Store, place: InProcessJobs) -> dict[str, trials.Trial]:
    """Begin the controller again each time it dies, until the sweep has ended; return the runs."""
    while True:
        control = controller_of(sweep, store, place)
        try:
            control.go_on()
            run_until_done(control)
            return control.trials.look()
        except KilledError:
            pass


@dataclass(frozen=True, kw_only=True)
class SweepTrial:
    """What came of it."""

    num_kills: int
    seconds: float
    states: Counter[str]
    """State -> how many trials ended in it."""
    wrong: list[str]
    """Each thing that must not be."""


def kill_trial(folder: Path, *, num_trials: int, parallel: int, chance: float, seed: int) -> SweepTrial:
    """Run a sweep of the substitute whose controller dies at each move with a chance."""
    sweep, store = sweep_in(folder, num_trials=num_trials, parallel=parallel), store_in(folder)
    work, dice = Substitute(store, step_s=0.005), random.Random(seed)
    num_kills = 0

    def die_sometimes(_: str) -> None:
        nonlocal num_kills
        if dice.random() < chance:
            num_kills += 1
            raise KilledError

    began = time.monotonic()
    with watched_moves(die_sometimes):
        found = run_with_kills(sweep, store, InProcessJobs(work))
    numbered = [trial for trial in found.values() if trial.number is not None]
    wrong = [f"{trial.label} is {trial.state}" for trial in found.values() if not trial.state.is_end]
    if [trial.number for trial in numbered] != list(range(1, num_trials + 1)):
        wrong.append(f"the trials are {[trial.label for trial in numbered]}")
    if len({tuple(trial.settings.values()) for trial in numbered}) < num_trials:
        wrong.append("two trials have the same settings")
    if len(store.jobs()) != len(found):
        wrong.append(f"{len(store.jobs())} jobs of {len(found)} runs")
    states = Counter(str(trial.state) for trial in numbered)
    return SweepTrial(num_kills=num_kills, seconds=time.monotonic() - began, states=states, wrong=wrong)


def store_in(folder: Path) -> Store:
    """Return the jobs of a workspace."""
    return Store(JobsFolder(workspace=Workspace(path=folder)))
