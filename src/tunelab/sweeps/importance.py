"""Which settings of a sweep matter: how much of the differences between trials each explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunelab.sweeps.sampler import quiet_optuna, study_of
from tunelab.sweeps.space import Space
from tunelab.sweeps.trials import Trial, TrialState

FEWEST_TRIALS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """What explains the held-out loss of trials, by Optuna's PED-ANOVA."""

    shares: dict[str, float]
    """Dotted key -> its share, the largest first; they add up to 1."""
    num_trials: int
    at_end: bool
    """Whether the losses are those of finished trials, or of all at their first measurement."""

    def describe(self) -> str:
        """Return of what it is."""
        when = "at the end" if self.at_end else "at its first measurement"
        return f"of the held-out loss {when}, over {self.num_trials} trials"


def importance_of(space: Space, trials: Sequence[Trial]) -> Importance | None:
    """Return how much each setting matters; None of fewer than ten trials or if all have the same loss.

    Trials that were stopped early have no loss at the end. If fewer than ten have one, all are taken at their first
    measurement.
    """
    finished = [(trial, trial.loss) for trial in trials if trial.loss is not None]
    at_end = len(finished) >= FEWEST_TRIALS
    first = [(trial, trial.curve.points[0][1]) for trial in trials if trial.curve.points]
    chosen = finished if at_end else first
    if len(chosen) < FEWEST_TRIALS or len({loss for _, loss in chosen}) < 2:
        return None
    with quiet_optuna():
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        alike = [replace(trial, state=TrialState.FINISHED, loss=loss) for trial, loss in chosen]
        shares = get_param_importances(study_of(space, alike, seed=0), evaluator=PedAnovaImportanceEvaluator())
    return Importance(shares=dict(shares), num_trials=len(chosen), at_end=at_end)
