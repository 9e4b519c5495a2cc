"""How findings are made: amounts and places in words."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from tunelab.checks.finding import Finding, Severity
from tunelab.sources.row import Origin


class HasOrigin(Protocol):
    """Anything that knows where it came from."""

    @property
    def origin(self) -> Origin: ...


def found(
    items: Sequence[object],
    total: int,
    noun: str,
    says: str,
    *,
    code: str,
    severity: Severity,
    examples: Sequence[str],
    why: str,
    remedy: str,
) -> Iterator[Finding]:
    """Yield one finding about `items` out of `total`, if there are any: ``12 of 240 rows (5.0 %) <says>``."""
    if items:
        share = f"{len(items):,} of {total:,} {noun}{'' if total == 1 else 's'} ({100 * len(items) / total:.1f} %)"
        yield Finding(
            code=code,
            severity=severity,
            summary=f"{share} {says}",
            count=len(items),
            total=total,
            examples=tuple(dict.fromkeys(examples))[:3],
            why=why,
            remedy=remedy,
        )


def places(items: Sequence[HasOrigin]) -> list[str]:
    """Return where the items came from, as file:line."""
    return [str(item.origin) for item in items]
