"""What the checks found."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from tunelab.checks.config import ChecksConfig

Severity = Literal["error", "warning", "note"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From the gravest down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong with data or settings: how much of it, where, why it is bad, what to do."""

    code: str
    """Stable name in snake case, e.g. ``answer_cut_away``; what `checks.ignore` names."""
    severity: Severity
    summary: str
    """One sentence with the figures in it."""
    count: int
    """How many rows or sequences are concerned."""
    total: int
    """Out of how many."""
    examples: tuple[str, ...] = ()
    """Up to three places, file:line first."""
    why: str = ""
    remedy: str = ""
    ignored: str = ""
    """The reason the recipe gives for not stopping here (`checks.ignore`); empty if it gives none."""
    blocking: bool = False
    """True if it stops a run: as grave as `checks.fail_on` or graver, and not ignored with a reason. A rule sets it for
    what `train` refuses anyway, which no reason lets pass."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Findings, the gravest first; within a severity in the order in which the checks ran."""

    items: tuple[Finding, ...] = ()

    @classmethod
    def sorted(cls, findings: Iterable[Finding], config: ChecksConfig) -> "Findings":
        """Return `findings` in order of severity, each marked with what the recipe makes of it."""
        stops = () if config.fail_on == "never" else SEVERITIES[: SEVERITIES.index(config.fail_on) + 1]
        marked = [
            replace(
                finding,
                ignored="" if finding.blocking else config.ignore.get(finding.code, ""),
                blocking=finding.severity in stops and (finding.blocking or finding.code not in config.ignore),
            )
            for finding in findings
        ]
        return cls(tuple(sorted(marked, key=lambda finding: SEVERITIES.index(finding.severity))))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def blocking(self) -> "Findings":
        """Those that stop a run."""
        return Findings(tuple(finding for finding in self.items if finding.blocking))

    def codes(self) -> tuple[str, ...]:
        """Return the code of each finding, in order."""
        return tuple(finding.code for finding in self.items)
