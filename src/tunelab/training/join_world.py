"""The world that a process is in: a process group that exists, or what torchrun set. Imports no torch for one alone."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tunelab.errors import RunError
from tunelab.training.world import ALONE, World

_WHAT_TORCHRUN_SETS = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@contextmanager
def join_world(environment: Mapping[str, str] = os.environ) -> Iterator[World]:
    """Yield the world of this process: of the process group it is in, of what torchrun set up, or of a process alone.

    A process group that exists, as under Ray Train, is used and left as it is; each of its processes meets its own
    errors. Otherwise an error of the user that several processes meet is raised in one of them; the others end with its
    exit code.

    Raises:
        RunError: more than one process is announced, and not how to find the others.
    """
    if _is_in_a_process_group():
        from tunelab.training.process_group import Processes

        with Processes.of_existing_group() as world:
            yield world
        return
    size = environment.get("WORLD_SIZE", "1")
    if size in ("", "1"):
        yield ALONE
        return
    for name in _WHAT_TORCHRUN_SETS:
        value = environment.get(name, "")
        if not value or not (name == "MASTER_ADDR" or value.isdecimal()):
            remedy = f"Start with torchrun --nproc-per-node {size} -m tunelab train RECIPE; or unset WORLD_SIZE."
            what = f"WORLD_SIZE is {size}, and {name} is {json.dumps(value) if value else 'not set'}"
            raise RunError(what, where="environment", expected="what torchrun sets", remedy=remedy)
    from tunelab.training.process_group import Processes  # which loads torch

    local_rank, local_size = int(environment["LOCAL_RANK"]), int(environment["LOCAL_WORLD_SIZE"])
    master = environment["MASTER_ADDR"]
    with Processes.joined(local_rank=local_rank, local_size=local_size, master=master) as world:
        yield world


def _is_in_a_process_group() -> bool:
    distributed = sys.modules.get("torch.distributed")  # whoever made a group has loaded it
    return distributed is not None and distributed.is_available() and distributed.is_initialized()
