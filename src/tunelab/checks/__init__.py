"""Room of the checks: looks at what was read, says what is wrong, where, and the remedy; changes nothing."""

from tunelab.checks.check import CHECKS, check
from tunelab.checks.config import ChecksConfig
from tunelab.checks.finding import Finding, Findings, Severity
from tunelab.checks.material import Material, PlannedRun, questions
from tunelab.checks.statistics import Statistics, response_type, statistics

__all__ = [
    "CHECKS",
    "ChecksConfig",
    "Finding",
    "Findings",
    "Material",
    "PlannedRun",
    "Severity",
    "Statistics",
    "check",
    "questions",
    "response_type",
    "statistics",
]
