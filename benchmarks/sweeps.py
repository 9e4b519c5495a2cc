"""Prove that a sweep loses no trial and runs none twice, and measure what a proposal costs.

    PYTHONPATH=tools python benchmarks/sweeps.py [--trials 500] [--parallel 4] [--chance 0.04] [--seed 1]

The runs are those of a substitute for training that takes no time (tools/sweeps_trial). Ends with 1 if a trial was lost
or run twice.

    proposal  processor time of what one trial more costs, after 50, 200 and 500 trials
    kills     the controller dies before or after each of its moves with a chance
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from sweeps_trial.kills import kill_trial
from tunelab.sweeps.curve import LossCurve
from tunelab.sweeps.sampler import propose
from tunelab.sweeps.space import Choice, Range
from tunelab.sweeps.trials import Trial, TrialState

SPACE = (
    Range(key="training.learning_rate", low=1e-4, high=1e-2, log=True),
    Range(key="training.num_warmup_steps", low=0, high=20),
    Choice(key="lora.r", values=(4, 8, 16)),
)


def main() -> None:
    """Run both and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--chance", type=float, default=0.04)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, seed {given.seed}")
    propose(SPACE, 1, [], seed=given.seed)  # the import of Optuna is not counted
    for count in (50, 200, 500):
        print(f"proposal after {count} trials: {1000 * _proposal_s(count, given.seed):.0f} ms of processor time")
    with tempfile.TemporaryDirectory() as folder:
        trial = kill_trial(
            Path(folder), num_trials=given.trials, parallel=given.parallel, chance=given.chance, seed=given.seed
        )
    states = ", ".join(f"{count} {state}" for state, count in sorted(trial.states.items()))
    print(f"kills: {trial.num_kills} over {given.trials} trials ({states}) in {trial.seconds:.0f} s: ", end="")
    print(f"{len(trial.wrong)} faults")
    for fault in trial.wrong:
        print(f"  {fault}")
    sys.exit(1 if trial.wrong else 0)


def _proposal_s(count: int, seed: int) -> float:
    chance = random.Random(seed)
    curve = LossCurve(points=tuple((share / 10, 1 - share / 20) for share in range(1, 11)))
    trials = [
        Trial(
            label=str(number),
            settings={
                "training.learning_rate": 10 ** chance.uniform(-4, -2),
                "training.num_warmup_steps": chance.randint(0, 20),
                "lora.r": chance.choice([4, 8, 16]),
            },
            state=TrialState.FINISHED,
            curve=curve,
            loss=chance.random(),
        )
        for number in range(1, count + 1)
    ]
    began = time.process_time()
    propose(SPACE, count + 1, trials, seed=seed)
    return time.process_time() - began


if __name__ == "__main__":
    main()
