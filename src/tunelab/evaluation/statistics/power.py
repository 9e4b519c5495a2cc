"""How many rows a difference needs to be shown, and what so many rows can show."""

from __future__ import annotations

import math

from tunelab.evaluation.statistics.distributions import normal_quantile, root, two_sided_z

USUAL_FLIPS = 0.2
"""Share of rows taken to change from right to wrong or back where no earlier report says it."""


def rows_needed(
    difference: float, *, flips: float = USUAL_FLIPS, power: float = 0.8, confidence: float = 0.95, design: float = 1.0
) -> int:
    """Return how many rows show a difference of two rates over the same rows (Connor 1987).

    Args:
        difference: of the rates, such as 0.03 for three points.
        flips: share of rows on which one of the two is right and the other is not; at least the difference.
        power: chance that it is shown.
        confidence: of the interval that shows it.
        design: what `design_effect` returned; 1 for rows that do not depend on each other.
    """
    flips, difference = max(flips, abs(difference)), abs(difference)
    if not difference:
        raise ValueError("no number of rows shows a difference of zero")
    z, z_power = two_sided_z(confidence), normal_quantile(power)
    rows = (z * math.sqrt(flips) + z_power * math.sqrt(flips - difference**2)) ** 2 / difference**2
    return math.ceil(rows * design)


def difference_shown(
    num_rows: int,
    *,
    flips: float = USUAL_FLIPS,
    power: float = 0.8,
    confidence: float = 0.95,
    design: float = 1.0,
) -> float | None:
    """Return the least difference of two rates that so many rows show.

    None if they do not even show one in which all flips go the same way. Arguments as in `rows_needed`.
    """
    independent = num_rows / design
    z, z_power = two_sided_z(confidence), normal_quantile(power)

    def too_much(difference: float) -> float:
        spread = z * math.sqrt(flips) + z_power * math.sqrt(max(flips - difference**2, 0.0))
        return independent * difference**2 - spread**2

    return root(too_much, 0.0, flips) if independent > 0 and too_much(flips) >= 0 else None


def design_effect(mean_group_size: float, correlation: float) -> float:
    """Return by how many times rows in groups are worth less than independent ones (Kish).

    Args:
        mean_group_size: rows of a group; of groups of unequal sizes, Σ size² / Σ size.
        correlation: what `intraclass_correlation` returned.
    """
    return 1 + (mean_group_size - 1) * correlation
