"""Which settings a trial gets: Optuna's TPE, asked anew each time over all trials so far.

No study is stored: what a trial gets follows from the plan, its number and the trials before it, so that a controller
that was killed proposes the same again. Optuna's own journal would be a second account of what the runs hold.
"""

from __future__ import annotations

import json
import logging
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

from tunelab.errors import MissingExtraError
from tunelab.files import canonical_json, sha256_text
from tunelab.sweeps.space import Choice, Range, Space, num_points
from tunelab.sweeps.trials import Trial, TrialState

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_TRIES = 32
_PER_MILLE = 1000


def propose(space: Space, number: int, trials: Sequence[Trial], *, seed: int) -> dict[str, Any] | None:
    """Return settings that no trial has had; None if a space of choices has no others.

    Args:
        space: what is searched.
        number: of the trial.
        trials: those before it, and runs of the recipe itself whose settings lie in the space. Running ones count as
            bad, so that trials at the same time are not alike (Optuna's constant liar); so do failed ones.
        seed: of the sweep.

    Raises:
        MissingExtraError: Optuna is not installed.
    """
    tried = {_written(space, trial.settings) for trial in trials}
    if len(tried) >= num_points(space):
        return None
    for attempt in range(_TRIES):
        with quiet_optuna():
            study = study_of(space, trials, seed=_seed(seed, number, attempt))
            asked = study.ask(dict(distributions(space)))
        settings = {each.key: _value(each, asked.params[each.key]) for each in space}
        if _written(space, settings) not in tried:
            return settings
    return next(settings for settings in _points(space) if _written(space, settings) not in tried)


def study_of(space: Space, trials: Iterable[Trial], *, seed: int) -> Study:
    """Return an Optuna study of some trials, in memory."""
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.add_trials([_as_optuna(space, trial) for trial in trials])
    return study


def distributions(space: Space) -> Iterator[tuple[str, BaseDistribution]]:
    """Yield key and distribution of each setting."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    for each in space:
        if isinstance(each, Choice):
            yield each.key, CategoricalDistribution([canonical_json(value) for value in each.values])
        elif each.is_whole:
            yield each.key, IntDistribution(int(each.low), int(each.high), log=each.log)
        else:
            yield each.key, FloatDistribution(each.low, each.high, log=each.log)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep the log lines and warnings of Optuna from the user within the context.

    Raises:
        MissingExtraError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", extra="sweep") from error
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


def lies_in(space: Space, settings: Mapping[str, Any]) -> bool:
    """Return whether the values of some settings are among those that are searched."""
    for each in space:
        value = settings[each.key]
        if isinstance(each, Choice):
            if value not in each.values:
                return False
        elif isinstance(value, bool) or not isinstance(value, int | float) or not each.low <= value <= each.high:
            return False
    return True


def _as_optuna(space: Space, trial: Trial) -> FrozenTrial:
    from optuna.trial import TrialState as State
    from optuna.trial import create_trial

    state = State.RUNNING if not trial.state.is_end else State.PRUNED
    if trial.loss is not None and trial.state is TrialState.FINISHED:
        state = State.COMPLETE
    return create_trial(
        state=state,
        value=trial.loss if state is State.COMPLETE else None,
        params={each.key: _param(each, trial.settings[each.key]) for each in space},
        distributions=dict(distributions(space)),
        intermediate_values={round(share * _PER_MILLE): loss for share, loss in trial.curve.points},
    )


def _seed(*parts: int) -> int:
    return int(sha256_text(canonical_json(parts))[:8], 16)


def _param(each: Range | Choice, value: Any) -> Any:
    return canonical_json(value) if isinstance(each, Choice) else value


def _value(each: Range | Choice, param: Any) -> Any:
    return json.loads(param) if isinstance(each, Choice) else param


def _written(space: Space, settings: Mapping[str, Any]) -> str:
    return canonical_json([settings[each.key] for each in space])


def _points(space: Space) -> Iterator[dict[str, Any]]:
    """Yield every point of a space that has no range of numbers that are not whole."""
    assert num_points(space) < math.inf
    values = [each.values if isinstance(each, Choice) else range(int(each.low), int(each.high) + 1) for each in space]
    for point in product(*values):
        yield dict(zip((each.key for each in space), point, strict=True))
