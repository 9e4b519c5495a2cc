"""A rendered text that remembers which of its words only look like control tokens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Marked:
    """A rendered text, and which stretches of it look like control tokens but are a message's own words."""

    text: str
    literals: tuple[tuple[int, int], ...] = ()
    """Start and end of each such stretch, in order."""

    def unit(self, start: int, end: int) -> "Unit":
        """Return the text from `start` to `end`, plain where nothing in it is a look-alike."""
        if not self.literals:
            return self.text[start:end]
        part = self.part(start, end)
        return part if part.literals else part.text

    def begins_with(self, other: "Marked") -> bool:
        """Tell whether a text begins with another one, look-alikes and all."""
        return self.text.startswith(other.text) and (
            not (self.literals or other.literals) or self.part(0, len(other.text)) == other
        )

    def part(self, start: int, end: int) -> "Marked":
        """Return the text from `start` to `end`."""
        inside = [(a - start, b - start) for a, b in self.literals if a >= start and b <= end]
        return Marked(self.text[start:end], tuple(inside))


Unit = Marked | str


def agreed(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
