"""What torchrun starts in the tests: each process runs the same commands of tunelab, one after the other.

Given a folder with `commands.json`, a list of {"name", "folder", "arguments"}, each process leaves `<name>.<rank>.json`
for every command: exit code, and what was printed on which stream. The last process, and no other, gets a SIGTERM in
optimizer step "stop_at", has no memory at the place "no_memory_in", once and in the midst of a step, and is given the
arguments "of_last", where these are there. "in_a_group" makes the process group before, as Ray Train does.
"""

import contextlib
import functools
import io
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from tunelab.cli.main import run
from tunelab.training import held_out_loss, process_group, sharding, trainer
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
            mock.patch("tunelab.training.process_group.rendezvous", meets),
            mock.patch("tunelab.training.process_group._FIRST_WORD_S", 1.0),
            _terminated_at(stop_at),
            _NO_MEMORY[command.get("no_memory_in") if is_last else None](),
        ):
            if command.get("in_a_group"):
                store, _, size = next(meets("env://"))
                dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
            code = run(arguments)
        if command.get("in_a_group"):
            dist.barrier()  # it is there, and works
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


def _in_a_pass(*, backward: bool) -> contextlib.AbstractContextManager[object]:
    """Have no memory in the middle layer, in the second micro-batch of the second step."""
    forest_loss, passes = trainer.forest_loss, itertools.count(1)

    def lacking(network: torch.nn.Module, *arguments: object) -> torch.Tensor:
        if next(passes) != 4:
            return forest_loss(network, *arguments)  # type: ignore[arg-type]
        layers = network.get_submodule("model.layers")
        middle = layers[len(layers) // 2].get_submodule("mlp")  # type: ignore[index]
        hook = middle.register_forward_hook(
            lambda _, __, output: output.register_hook(_no_memory) and None if backward else _no_memory()
        )
        try:
            return forest_loss(network, *arguments)  # type: ignore[arg-type]
        finally:
            hook.remove()

    return mock.patch.object(trainer, "forest_loss", lacking)


def _at_call(number: int, owner: object, name: str, error: Exception) -> contextlib.AbstractContextManager[object]:
    """Raise `error` once, in that call of a function."""
    function, calls = getattr(owner, name), itertools.count(1)

    def lacking(*arguments: object, **named: object) -> object:
        if next(calls) == number:
            raise error
        return function(*arguments, **named)

    return mock.patch.object(owner, name, lacking)


def _no_memory(*_: object) -> None:
    raise torch.OutOfMemoryError("no room")


_NO_ROOM = torch.OutOfMemoryError("no room")
_NO_MEMORY: dict[str | None, Callable[[], contextlib.AbstractContextManager[object]]] = {
    None: contextlib.nullcontext,
    "forward": functools.partial(_in_a_pass, backward=False),
    "backward": functools.partial(_in_a_pass, backward=True),
    "gradients": functools.partial(_at_call, 3, process_group, "_gradient", _NO_ROOM),
    "adamw": functools.partial(_at_call, 3, torch.optim.AdamW, "step", _NO_ROOM),
    "held out": functools.partial(_at_call, 1, held_out_loss, "forest_loss", _NO_ROOM),
    "gathering": functools.partial(_at_call, 9, sharding._Agreed, "allocate", _NO_ROOM),
    "exchange": functools.partial(_at_call, 9, dist, "all_gather_single", RuntimeError("no room for buffers")),
}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
