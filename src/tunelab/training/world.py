"""The processes that train one run together. Imports no torch: a process that is alone needs nothing of it.

Every process reads the same data, plans the same steps and holds the same adapter; the sequences of a step are split
over them, gradients are summed, and each number that a decision rests on is gathered first. Only the first process
writes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tunelab.errors import RunError

if TYPE_CHECKING:
    import torch


class World:
    """A process that trains alone: it agrees with itself at no cost. `Processes` is the world of several."""

    rank = 0
    """Place of this process among all of them."""
    size = 1
    """Number of processes."""
    local_size = 1
    """How many of them run on this machine."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def num_on(self, device: "torch.device") -> int:
        """Return how many processes share the memory of `device`: those of a machine its CPU's, each GPU has one."""
        return self.local_size if device.type == "cpu" else 1

    def gather(self, *values: float) -> list[tuple[float, ...]]:
        """Return the values of every process, by rank. All processes must call it at the same point."""
        return [values]

    def tell(self, text: str) -> str:
        """Return the text that the first process gives; those of the others are not read."""
        return text

    @contextmanager
    def first_ahead(self) -> Iterator[None]:
        """Let the first process go through the context before the others enter it."""
        yield

    @contextmanager
    def first_of_machine_ahead(self) -> Iterator[None]:
        """Let the first process of each machine go through the context before the others enter it.

        What it leaves on a disk of its machine is there for them; machines do not wait for each other's work.
        """
        yield

    def line_up_gradients(self, weights: Mapping[str, "torch.nn.Parameter"]) -> "torch.Tensor | None":
        """Return a buffer of which the gradients of `weights` are views from here on; one that has none is zero.

        This takes memory, and is done before all agree to sum. None: a process alone leaves its gradients as they are.
        """
        return None

    def sum_gradients(self, gradients: "torch.Tensor | None") -> None:
        """Replace what `line_up_gradients` returned, and so the gradients, by the sum over all processes."""

    def refuse_if_unequal(self, digest: str, *, what: str, remedy: str) -> None:
        """Raise a RunError in every process if `digest`, hexadecimal, is not the same in all of them."""
        rows = self.gather(float(int(digest[:12], 16)))  # 48 bits: a float holds them exactly
        others = [str(rank) for rank, row in enumerate(rows) if row != rows[0]]
        if others:
            raise RunError(f"process {', '.join(others)} {what} than process 0", where="training", remedy=remedy)


ALONE = World()
