"""A file that two have changed since they had it in common: their changes in one, by lines, if they do not overlap."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import SequenceMatcher

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What came of a merge."""

    content: bytes
    """Both changes; at conflicts, the template's."""
    num_conflicts: int
    """Changes of yours that overlap with other changes of the template."""


def merge(then: bytes, yours: bytes, now: bytes) -> Merged:
    """Return your file with what the template has changed in the meantime.

    Lines that differ only in their ends are equal; yours keep theirs, and new ones get the ends that yours have.
    Two neighbouring lines are two changes. Merging the result again gives the result.

    Args:
        then: the template that your file began as.
        yours: the file as it is.
        now: the template as it is.
    """
    merged = _merged(then, yours, now)
    is_stable = merged.num_conflicts or _merged(then, merged.content, now) == merged
    return (
        merged if is_stable else Merged(content=merged.content, num_conflicts=1)
    )  # lines that repeat, lined up otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """Lines of the common file that were replaced; none of them for an insertion."""

    start: int
    end: int
    lines: tuple[bytes, ...]
    """Without their ends."""
    written: tuple[bytes, ...] = field(compare=False)
    """As they are in the file."""

    def touches(self, other: _Change) -> bool:
        if self.start == self.end or other.start == other.end:  # an insertion: the order would be a guess
            return self.start <= other.end and other.start <= self.end
        return self.start < other.end and other.start < self.end


def _merged(then: bytes, yours: bytes, now: bytes) -> Merged:
    bom = _BOM if yours.startswith(_BOM) else b""
    old, mine, theirs = (text.removeprefix(_BOM).split(b"\n") for text in (then, yours, now))
    end = b"\r" if len(mine) > 1 and 2 * sum(line.endswith(b"\r") for line in mine) >= len(mine) else b""
    mine[-1] += end  # the last line has no end; taken off again below
    own, same = _changes(old, mine)
    new, _ = _changes(old, [line.removesuffix(b"\r") + end for line in theirs])
    free = [change for change in own if change in new or not any(map(change.touches, new))]
    lines = [same.get(index, line) for index, line in enumerate(old)]
    for change in sorted({*free, *new}, key=lambda each: each.start, reverse=True):
        lines[change.start : change.end] = change.written
    return Merged(content=bom + b"\n".join(lines).removesuffix(end), num_conflicts=len(own) - len(free))


def _changes(old: list[bytes], other: list[bytes]) -> tuple[list[_Change], dict[int, bytes]]:
    """Return what `other` changes, and index -> line as `other` writes it for the lines that it leaves."""
    bare = [line.removesuffix(b"\r") for line in other]
    matcher = SequenceMatcher(None, [line.removesuffix(b"\r") for line in old], bare, autojunk=False)
    changes: list[_Change] = []
    same: dict[int, bytes] = {}
    for tag, start, end, first, last in matcher.get_opcodes():
        if tag == "equal":
            same.update(zip(range(start, end), other[first:last], strict=True))
            continue
        line_by_line = end - start == last - first
        cuts = [(start + n, start + n + 1, first + n, first + n + 1) for n in range(end - start)]
        for low, high, begin, stop in cuts if line_by_line else [(start, end, first, last)]:
            written = tuple(other[begin:stop])
            changes.append(_Change(start=low, end=high, lines=tuple(bare[begin:stop]), written=written))
    return changes, same
