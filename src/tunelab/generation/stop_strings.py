"""Where a text ends if some strings are to end it. Imports no torch."""

from collections.abc import Iterable, Iterator, Sequence


def before_stop(text: str, stop_strings: Sequence[str]) -> str | None:
    """Return what comes before the first stop string in `text`; None if it holds none."""
    found = [at for at in map(text.find, stop_strings) if at >= 0]
    return text[: min(found)] if found else None


def until_stop(pieces: Iterable[str], stop_strings: Sequence[str]) -> Iterator[str]:
    """Yield the pieces of a text up to the first stop string, and take no more of them then.

    What could be the beginning of a stop string is held back until it is known to be none.
    """
    held = ""
    for piece in pieces:
        held += piece
        if (rest := before_stop(held, stop_strings)) is not None:
            held = rest
            break
        certain = len(held) - _num_open(held, stop_strings)
        if certain:
            yield held[:certain]
            held = held[certain:]
    if held:
        yield held


def _num_open(text: str, stop_strings: Sequence[str]) -> int:
    """Return the length of the longest end of `text` that a stop string begins with."""
    longest = max(map(len, stop_strings), default=0) - 1
    ends = range(min(longest, len(text)), 0, -1)
    return next((size for size in ends if any(stop.startswith(text[-size:]) for stop in stop_strings)), 0)
