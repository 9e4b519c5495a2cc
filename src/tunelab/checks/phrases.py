"""How findings about some of many, and what repeats, are put into words."""

from collections.abc import Iterator, Mapping, Sequence

from tunelab.checks.finding import Finding, Severity
from tunelab.errors import counted


def found(
    items: Sequence[object],
    total: int,
    noun: str,
    says: str,
    *,
    code: str,
    severity: Severity,
    why: str,
    remedy: str,
    examples: Sequence[str] = (),
) -> Iterator[Finding]:
    """Yield one finding about `items` out of `total`, if there are any: ``12 of 240 rows (5.0 %) <says>``.

    Without `examples`, the items are named: by the place they came from, or as they are if they are places or errors.
    """
    if items:
        share = f"{len(items):,} of {counted(total, noun)} ({percent(len(items) / total)})"
        examples = examples or [str(getattr(item, "origin", item)) for item in items]
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


def percent(share: float) -> str:
    """Return a share from 0 to 1 as ``3.0 %``; what would read as 0.0 % and is more is given as below 0.1 %."""
    return "below 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def origins(repeats: Mapping[str, int]) -> str:
    """Return where repeated tokens come from, the largest share first; empty where nothing repeats."""
    total = sum(repeats.values())
    shares = [(size / total, name) for name, size in repeats.items() if size]
    return ", ".join(f"{100 * share:.0f} % {name}" for share, name in sorted(shares, reverse=True) if share >= 0.005)
