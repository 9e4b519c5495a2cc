"""The GPUs of this machine, and which of them a job gets. A GPU is named by its UUID: numbers change at a restart.

Several jobs share a GPU as long as the memory that they are expected to hold fits into it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunelab.errors import UserError

if TYPE_CHECKING:
    from tunelab.jobs.job import JobSpec

VISIBLE = "CUDA_VISIBLE_DEVICES"
_QUERY = ("--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")
_LONGEST_QUERY_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU."""

    uuid: str
    memory_bytes: int
    """All that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldGpus:
    """What a running job holds."""

    uuids: tuple[str, ...]
    memory_bytes: int
    """Of each of them; 0 if the job has them to itself."""


def gpus_here(environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """Return the GPUs that nvidia-smi names, as far as CUDA_VISIBLE_DEVICES shows them; none without that program."""
    if (program := shutil.which("nvidia-smi", path=environment.get("PATH"))) is None:
        return ()
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run([program, *_QUERY], capture_output=True, timeout=_LONGEST_QUERY_S, check=True, text=True)
        return tuple(_visible(done.stdout.splitlines(), environment.get(VISIBLE)))
    return ()


def _visible(lines: Iterable[str], shown: str | None) -> Iterable[Gpu]:
    """Yield the GPUs in the order of CUDA_VISIBLE_DEVICES, which names them by number or by the start of their UUID."""
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if line.strip()]
    gpus = {index: Gpu(uuid=uuid, memory_bytes=int(mebibytes) << 20) for index, uuid, mebibytes in rows}
    if shown is None:
        yield from gpus.values()
        return
    for name in shown.split(","):
        found = [each for index, each in gpus.items() if name.strip() == index or each.uuid.startswith(name.strip())]
        if not name.strip() or len(found) != 1:
            return  # as CUDA itself: what comes after a wrong name is not seen
        yield found[0]


def require_gpus(spec: JobSpec, gpus: Sequence[Gpu]) -> None:
    """Refuse a job that never fits here.

    Raises:
        UserError: with the numbers.
    """
    if spec.gpus and not gpus:
        remedy = "Leave --gpus out, or submit on a machine with one."
        raise UserError("there is no GPU here: nvidia-smi names none", where="--gpus", remedy=remedy)
    if spec.gpus > len(gpus):
        raise UserError(f"{spec.gpus} GPUs are requested", where="--gpus", expected=f"at most {len(gpus)}, all of them")
    most = sorted((gpu.memory_bytes for gpu in gpus), reverse=True)[: spec.gpus]
    if spec.gpus and spec.gpu_bytes > most[-1]:
        remedy = "Lower batching.micro_batch_tokens, set training.gradient_checkpointing, or quantize the base."
        what = f"the job needs {gibibytes(spec.gpu_bytes)} on a GPU by estimate, and {gibibytes(most[-1])} are there"
        raise UserError(what, where="--gpus", remedy=remedy)


def gpus_for(spec: JobSpec, gpus: Sequence[Gpu], held: Iterable[HeldGpus]) -> HeldGpus | None:
    """Return what a job gets: the GPUs with the most memory left; None if too few have room for it now."""
    if not spec.gpus:
        return HeldGpus(uuids=(), memory_bytes=0)
    left = {gpu.uuid: gpu.memory_bytes for gpu in gpus}
    whole = dict(left)
    for each in held:
        for uuid in left.keys() & set(each.uuids):
            left[uuid] -= each.memory_bytes or whole[uuid]
    needed = {uuid: spec.gpu_bytes or whole[uuid] for uuid in left}
    fits = sorted((uuid for uuid in left if left[uuid] >= needed[uuid]), key=lambda uuid: -left[uuid])
    if len(fits) < spec.gpus:
        return None
    return HeldGpus(uuids=tuple(fits[: spec.gpus]), memory_bytes=spec.gpu_bytes)


def gibibytes(size_bytes: int) -> str:
    """Return such as ``11.2 GiB``."""
    return f"{size_bytes / 2**30:,.1f} GiB"
