"""What a rule is: a function of the context, and the codes of what it may find."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tunelab.checks.context import CheckContext
from tunelab.checks.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the checks; called with a context, it yields what is wrong."""

    codes: tuple[str, ...]
    """The codes of its findings: what `checks.ignore` may name, each explained by a page of `explanations`."""
    look: Callable[[CheckContext], Iterator[Finding]]

    def __call__(self, context: CheckContext) -> Iterator[Finding]:
        """Yield what is wrong, the codes held to what the rule declares."""
        for finding in self.look(context):
            assert finding.code in self.codes, f"{finding.code} is not among the codes of its rule, {self.codes}"
            yield finding


def rule(*codes: str) -> Callable[[Callable[[CheckContext], Iterator[Finding]]], Rule]:
    """Return a decorator that makes a function a rule with these codes."""
    return lambda look: Rule(codes=codes, look=look)
