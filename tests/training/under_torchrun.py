"""What torchrun starts in the tests: each process runs the same commands of tunelab, one after the other.

Given a folder with `commands.json`, a list of {"name", "folder", "arguments"}, each process leaves `<name>.<rank>.json`
for every command: exit code, and what was printed on which stream. The last process, and no other, gets a SIGTERM in
optimizer step "stop_at" and is given the arguments "of_last", where these are there.
"""

import contextlib
import functools
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from tunelab.cli.main import run
from tunelab.training.trainer import Trainer


def main(folder: Path) -> None:
    rank = int(os.environ["RANK"])
    is_last = rank == int(os.environ["WORLD_SIZE"]) - 1
    for command in json.loads((folder / "commands.json").read_text()):
        os.chdir(command["folder"])
        out, err = io.StringIO(), io.StringIO()
        arguments = command.get("of_last", command["arguments"]) if is_last else command["arguments"]
        stop_at = command.get("stop_at") if is_last else None
        meets = functools.partial(_meet, command["name"])
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch("tunelab.training.processes.rendezvous", meets),
            _terminated_at(stop_at),
        ):
            code = run(arguments)
        if dist.is_initialized():  # a process that is refused ends, and with it what it had joined; this one goes on
            dist.destroy_process_group()
        left = {"code": code, "out": out.getvalue(), "err": err.getvalue()}
        (folder / f"{command['name']}.{rank}.json").write_text(json.dumps(left))


def _meet(name: str, url: str) -> Iterator[tuple[dist.Store, int, int]]:
    """Let the processes meet as they do, but under a name of their own for each command."""
    store, rank, size = next(rendezvous(url))
    yield dist.PrefixStore(name, store), rank, size


def _terminated_at(step: int | None) -> contextlib.AbstractContextManager[object]:
    train_step = Trainer.train_step

    def terminated(self: Trainer, *arguments: object) -> object:
        if self.progress.step + 1 == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return train_step(self, *arguments)  # type: ignore[arg-type]

    return mock.patch.object(Trainer, "train_step", terminated)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
