"""Applies every rule to the context. No rule changes anything."""

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Findings
from tunelab.checks.rules import RULES


def check(context: CheckContext) -> Findings:
    """Return what is wrong, the gravest first; empty if all is well."""
    return Findings.sorted((finding for rule in RULES for finding in rule(context)), context.config)
