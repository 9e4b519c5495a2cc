"""Where jobs can run: this machine. Places that have no back-end yet are named as such."""

from __future__ import annotations

from tunelab.errors import UserError

HERE = "local"
"""The place that is this machine."""
_LATER = {"azure": "Azure", "aca": "Azure Container Apps", "ray": "Ray", "slurm": "Slurm", "kubernetes": "Kubernetes"}


def refuse_other_places(place: str, *, option: str) -> None:
    """Raise a UserError if jobs cannot run at a place, with what is missing.

    Args:
        place: as the user gave it.
        option: with which.
    """
    if place != HERE:
        missing = f": the back-end for {later} is missing" if (later := _LATER.get(place.casefold())) else ""
        what, expected = f'"{place}" is no place that jobs can run at yet{missing}', f"{HERE}, this machine"
        raise UserError(what, where=option, expected=expected)
