"""Several processes that train one run together, over torch.distributed: gloo on CPUs, nccl between GPUs."""

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Self

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from tunelab.errors import TRY_AGAIN, RunError, UserError, counted
from tunelab.files import sha256_text
from tunelab.training.network_interface import choose_interface
from tunelab.training.world import World

_LONGEST_WAIT = timedelta(hours=4)  # the first process may render much data; one that has ended is noticed at once
_FIRST_WORD_S = 5.0
_LOST = "tunelab/lost"
"""The key under which processes count how many of them have lost another."""


class LostProcessError(RunError):
    """Another process of this run ended before its time, or this one cannot exchange with it."""

    exit_code = TRY_AGAIN


class Processes(World):
    """One of several processes.

    Args:
        group: what numbers, texts and the gradients of a CPU go through; None is the default process group.
    """

    def __init__(
        self, *, rank: int, size: int, local_rank: int, local_size: int, group: dist.ProcessGroup | None = None
    ) -> None:
        self.rank, self.size, self.local_rank, self.local_size, self._group = rank, size, local_rank, local_size, group

    @classmethod
    @contextmanager
    def joined(cls, *, local_rank: int, local_size: int, master: str) -> Iterator[Self]:
        """Yield the world that torchrun describes once all are there; `master` is the machine of the first process."""
        if num_gpus := torch.cuda.device_count():
            _refuse_if_gpus_are_too_few(num_gpus, local_size)
            torch.cuda.set_device(local_rank)
        choose_interface(master)
        with lost_if_it_fails():
            store, rank, size = next(rendezvous("env://"))
            # Numbers and texts go over gloo wherever the gradients are.
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_LONGEST_WAIT)
        try:
            yield cls(rank=rank, size=size, local_rank=local_rank, local_size=local_size)
        except UserError as error:
            if (code := _code_said_elsewhere(error, store, rank=rank, size=size)) is not None:
                raise SystemExit(code) from error
            raise
        dist.destroy_process_group()

    @classmethod
    @contextmanager
    def of_existing_group(cls) -> Iterator[Self]:
        """Yield the world of the process group that this process is in, which stays as it is.

        Numbers and texts go through a gloo group of their own: the existing one may be of nccl alone.
        """
        rank, size = dist.get_rank(), dist.get_world_size()
        with lost_if_it_fails():
            group = dist.new_group(backend="gloo", timeout=_LONGEST_WAIT)
        world = cls(rank=rank, size=size, local_rank=0, local_size=1, group=group)
        # 48 bits of a hash: a float holds them exactly
        hosts = [host for (host,) in world.gather(float(int(sha256_text(socket.gethostname())[:12], 16)))]
        world.local_rank, world.local_size = hosts[:rank].count(hosts[rank]), hosts.count(hosts[rank])
        try:
            yield world
        finally:
            dist.destroy_process_group(group)  # also after an error: the others wait for this process no longer

    def gather(self, *values: float) -> list[tuple[float, ...]]:
        """Return the values of every process, by rank."""
        own = torch.tensor(values, dtype=torch.float64)
        rows = [torch.empty_like(own) for _ in range(self.size)]
        with lost_if_it_fails():
            dist.all_gather(rows, own, group=self._group)
        return [tuple(row.tolist()) for row in rows]

    def tell(self, text: str) -> str:
        """Return the text that the first process gives."""
        content = text.encode()
        length = int(self.gather(len(content))[0][0])
        buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8) if self.is_first and length else None
        received = torch.empty(length, dtype=torch.uint8) if buffer is None else buffer
        with lost_if_it_fails():
            dist.broadcast(received, src=0, group=self._group)
        return bytes(received.tolist()).decode()

    @contextmanager
    def first_ahead(self) -> Iterator[None]:
        """Let the first process go through the context before the others enter it."""
        with self._ahead(self.is_first):
            yield

    @contextmanager
    def first_of_machine_ahead(self) -> Iterator[None]:
        """Let the first process of each machine go through the context before the others enter it."""
        with self._ahead(self.local_rank == 0):
            yield

    def line_up_gradients(self, weights: Mapping[str, torch.nn.Parameter]) -> torch.Tensor:
        """Return a buffer of which the gradients of `weights` are views from here on; one that has none is zero."""
        buffer = torch.cat([_gradient(weight).flatten() for weight in weights.values()])
        start = 0
        for weight in weights.values():
            weight.grad = buffer[start : start + weight.numel()].view_as(weight)
            start += weight.numel()
        return buffer

    def sum_gradients(self, gradients: torch.Tensor | None) -> None:
        """Replace what `line_up_gradients` returned, and so the gradients, by the sum over all processes."""
        assert gradients is not None
        with lost_if_it_fails():
            dist.all_reduce(gradients, group=self._group if gradients.device.type == "cpu" else None)

    @contextmanager
    def _ahead(self, goes_ahead: bool) -> Iterator[None]:
        if not goes_ahead:
            self.gather()
        yield
        if goes_ahead:
            self.gather()


def _code_said_elsewhere(error: UserError, store: Store, *, rank: int, size: int) -> int | None:
    """Return the exit code if another process says what ended this one, so that the user reads one message."""
    others = [_word(other) for other in range(size) if other != rank]
    with suppress(RuntimeError):  # the store has gone with the process that held it
        if isinstance(error, LostProcessError):
            # The first to notice speaks: it may be the one that could not exchange, and that the others lose now.
            if any(store.check([word]) for word in others):
                return UserError.exit_code
            return error.exit_code if store.add(_LOST, 1) > 1 else None
        store.set(_word(rank), str(error))
        until = time.monotonic() + _FIRST_WORD_S
        while rank > 0 and not store.check([_word(0)]) and time.monotonic() < until:
            time.sleep(0.05)  # what is wrong here may well be wrong there, and said a moment later
        before = [word for word in others[:rank] if store.check([word])]
        return error.exit_code if any(store.get(word).decode() == str(error) for word in before) else None
    return None


def _refuse_if_gpus_are_too_few(num_gpus: int, local_size: int) -> None:
    if local_size > num_gpus:
        remedy = f"Start torchrun with --nproc-per-node {num_gpus}, or set CUDA_VISIBLE_DEVICES= to train on the CPU."
        what = f"{local_size} processes on a machine of {counted(num_gpus, 'GPU')}"
        raise RunError(what, where="torchrun", expected="a GPU for each process", remedy=remedy)


def _gradient(weight: torch.nn.Parameter) -> torch.Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


def _word(rank: int) -> str:
    """Return the key under which a process leaves the error that ends it."""
    return f"tunelab/error/{rank}"


@contextmanager
def lost_if_it_fails(what: str = "another process of this run ended or cannot be reached") -> Iterator[None]:
    """Raise a LostProcessError that says `what` if an exchange between processes fails."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        remedy = "What it said is above. If a checkpoint was saved, go on with --resume."
        raise LostProcessError(f"{what} ({reason})", where="torchrun", remedy=remedy) from error
