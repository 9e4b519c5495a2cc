"""Whether the best trial is better than the recipe, or lucky: with its seed, or with the rows it was chosen on.

The figure is taken anew on rows that no trial saw, and over several seeds. Two things make it uncertain, which add up:
which conversations were held out, and the seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from tunelab.evaluation.statistics.distributions import student_quantile
from tunelab.evaluation.statistics.groups import FEWEST_GROUPS

GroupLosses = Mapping[str, Sequence[float]]
"""Conversation or session -> the sum of its tokens' losses, and the number of tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The held-out loss of one recipe with several seeds."""

    losses: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return fmean(self.losses)

    @property
    def sd(self) -> float | None:
        """Their standard deviation; None of one."""
        return stdev(self.losses) if len(self.losses) > 1 else None

    def describe(self) -> str:
        """Return it in words."""
        if self.sd is None:
            return f"{self.mean:.4f} (one seed: how much luck is in it is unknown)"
        return f"{self.mean:.4f} (standard deviation {self.sd:.4f} over {len(self.losses)} seeds)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The recipe and its best trial on the same rows."""

    recipe: float
    """Mean loss per token, over the seeds (nats)."""
    best: float
    low: float
    """Lower end of the 95 % interval of best − recipe."""
    high: float
    num_groups: int
    """Conversations, or sessions where rows have them."""
    num_seeds: int

    @property
    def difference(self) -> float:
        """Best − recipe; below zero is better."""
        return self.best - self.recipe

    @property
    def beats_noise(self) -> bool:
        """Whether the interval lies below zero; what a seed does is known of two or more."""
        return self.num_seeds > 1 and self.high < 0

    def describe(self) -> str:
        """Return it in words."""
        seeds = f"{self.num_seeds} seeds" if self.num_seeds > 1 else "one seed"
        return (
            f"On {self.num_groups:,} conversations that no trial saw, over {seeds}: the recipe {self.recipe:.4f}, the "
            f"best {self.best:.4f}; difference {self.difference:+.4f} (95 % interval {self.low:+.4f} to "
            f"{self.high:+.4f})."
        )


def compared(recipe: Sequence[GroupLosses], best: Sequence[GroupLosses]) -> Comparison | None:
    """Return the comparison of two settings on the same rows; None of fewer than ten groups.

    Args:
        recipe: the losses of each of its runs.
        best: the same of the runs of the best trial, with the same seeds.

    The interval is Student's t around the difference of the losses per token, each a mean over seeds. Its variance is
    the sum of three: over groups (cluster-robust, of the differences averaged over seeds), and over the seeds of
    either. The degrees of freedom are Satterthwaite's.
    """
    groups = sorted(recipe[0])
    if len(groups) < FEWEST_GROUPS:
        return None
    num_groups, num_seeds = len(groups), len(recipe)
    residuals = (
        fmean(_residual(each, group) for each in best) - fmean(_residual(each, group) for each in recipe)
        for group in groups
    )
    parts = [(num_groups / (num_groups - 1) * math.fsum(each**2 for each in residuals), num_groups - 1)]
    losses = [[_loss(each) for each in runs] for runs in (recipe, best)]
    if num_seeds > 1:
        parts += [(stdev(each) ** 2 / num_seeds, num_seeds - 1) for each in losses]
    variance = math.fsum(part for part, _ in parts)
    by_freedom = math.fsum(part**2 / freedom for part, freedom in parts)
    spread = _quantile(variance**2 / by_freedom) * math.sqrt(variance) if variance else 0.0
    before, after = map(fmean, losses)
    return Comparison(
        recipe=before,
        best=after,
        low=after - before - spread,
        high=after - before + spread,
        num_groups=num_groups,
        num_seeds=num_seeds,
    )


def _quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t; between whole degrees of freedom, even steps of their inverse."""
    whole = max(1, int(freedom))
    low, high = student_quantile(0.975, whole), student_quantile(0.975, whole + 1)
    share = (1 / whole - 1 / max(freedom, whole)) / (1 / whole - 1 / (whole + 1))
    return low + share * (high - low)


def _loss(losses: GroupLosses) -> float:
    return math.fsum(total for total, _ in losses.values()) / math.fsum(tokens for _, tokens in losses.values())


def _residual(losses: GroupLosses, group: str) -> float:
    """Return what a group adds to the loss per token beyond the mean one."""
    total, tokens = losses[group]
    return (total - _loss(losses) * tokens) / math.fsum(tokens for _, tokens in losses.values())
