"""Commands of tunelab in processes of their own, forked from one that has torch loaded: a start takes milliseconds.

`Forker` is what tests use; run as a script, this file is the process that forks. A command can be told to kill itself
at its n-th change to the file system, to meet a full disk there, or to work slowly, so that a signal meets it at work.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

CHANGES = ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir")
"""Functions of `os` through which everything passes that makes a file whole, moves it or removes it."""


_LOADED = (
    "tunelab.cli.train",
    "tunelab.cli.check",
    "tunelab.flows.train",
    "transformers.optimization",
    "rich.live",
)
"""What a run would load when it comes to it."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    """Exit code; below 0 the signal that killed it."""
    out: str
    err: str
    num_changes: int
    """Changes to the file system, counted as `kill_at` and `full_from` count them."""


class Started:
    """A command at work."""

    def __init__(self, pid: int, ended: Callable[[], int], files: dict[str, Path]) -> None:
        self.pid, self._ended, self._files = pid, ended, files
        self._code: int | None = None

    def reported(self, text: str) -> None:
        """Wait until standard error holds a text."""
        deadline = time.monotonic() + 60
        while text not in self._files["err"].read_text():
            assert time.monotonic() < deadline, text
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self) -> Ended:
        """Return how it ended."""
        code = self._code = self._ended() if self._code is None else self._code
        texts = {name: file.read_text() for name, file in self._files.items()}
        return Ended(code=code, out=texts["out"], err=texts["err"], num_changes=int(texts["changes"] or 0))

    def end(self) -> None:
        """Kill it unless it has ended: a test that failed leaves nothing to the next one."""
        if self._code is None:
            with suppress(ProcessLookupError):
                self.send(signal.SIGKILL)
            self.wait()


class Forker:
    """Starts commands, one after the other."""

    def __init__(self, model: Path, folder: Path) -> None:
        self._folder, self._number = folder, 0
        self._last: Started | None = None
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(model), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},  # a fork has none of its parent's threads
        )

    def start(self, *arguments: str, folder: Path, **options: Any) -> Started:
        """Start `tunelab ARGUMENTS` in `folder`.

        Args:
            kill_at: SIGKILL itself right before its n-th change to the file system (from 1).
            full_from: the disk is full from its n-th change on.
            max_bytes: no file can grow beyond this.
            pause_s: seconds that each optimizer step takes longer.
            pause_from: the first step that does, from 1.
            without_privileges: it may write only where its user may, even if that is root.
        """
        if self._last is not None:
            self._last.end()
        self._number += 1
        files = {name: self._folder / f"{self._number}.{name}" for name in ("out", "err", "changes")}
        for file in files.values():
            file.touch()
            file.chmod(0o666)
        wish = {"arguments": arguments, "folder": str(folder), "options": options}
        self._say(wish | {"files": {name: str(file) for name, file in files.items()}})
        self._last = Started(self._hear(), self._hear, files)
        return self._last

    def run(self, *arguments: str, folder: Path, **options: Any) -> Ended:
        """Run `tunelab ARGUMENTS` in `folder` to its end."""
        return self.start(*arguments, folder=folder, **options).wait()

    def close(self) -> None:
        """End the process that forks."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def _say(self, wish: dict[str, Any]) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(wish) + "\n")
        self._server.stdin.flush()

    def _hear(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


def _serve(model: Path, folder: Path) -> None:
    _warm_up(model, folder)
    for line in sys.stdin:
        wish = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(wish)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _warm_up(model: Path, folder: Path) -> None:
    """Load what a run loads and draw what it draws, so that no fork needs to; no backward pass, which forks mind."""
    for module in _LOADED:
        import_module(module)
    from tunelab.events import EventIndex, EventLog, StepDone
    from tunelab.events.loss_plot import terminal_plot, write_loss_plot
    from tunelab.models.config import ModelConfig
    from tunelab.models.load_model import load_model

    load_model(model, ModelConfig(device_map="cpu"))
    facts = dict.fromkeys(StepDone.__struct_fields__, 1) | {"time": 0.0}
    EventLog(folder / "events.jsonl").emit(StepDone(**facts))  # type: ignore[arg-type]
    index = EventIndex(folder / "events.jsonl")
    write_loss_plot(index, folder / "loss.png", title="")
    terminal_plot(index)
    if threads := _threads_of_polars():
        raise SystemExit(f"polars runs {threads} threads, for which a fork would wait without end")


def _threads_of_polars() -> int:
    names = (file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm"))
    return sum(name.removeprefix("polars-").isdecimal() for name in names)


def _become(wish: dict[str, Any]) -> None:
    # what the tests were started to ignore (nohup, a background job of a shell) is not inherited
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    for descriptor, name in ((0, os.devnull), (1, wish["files"]["out"]), (2, wish["files"]["err"])):
        os.dup2(os.open(name, os.O_RDONLY if descriptor == 0 else os.O_WRONLY), descriptor)
    changes = os.open(wish["files"]["changes"], os.O_WRONLY)
    os.chdir(wish["folder"])
    options = wish["options"]
    if options.get("without_privileges"):
        _give_up_privileges()
    if "max_bytes" in options:
        resource.setrlimit(resource.RLIMIT_FSIZE, (options["max_bytes"], options["max_bytes"]))
    _watch_changes(changes, options.get("kill_at"), options.get("full_from"))
    _work_slowly(options.get("pause_s", 0.0), options.get("pause_from", 1))
    sys.argv = ["tunelab", *wish["arguments"]]
    from tunelab.cli.main import main

    code = 70
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:  # an exception that escapes goes to standard error like any other
        if code == 70:
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _give_up_privileges() -> None:
    version_3, this_process = 0x20080522, 0
    header, no_capabilities = (ctypes.c_uint32 * 2)(version_3, this_process), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, no_capabilities):
        raise OSError(ctypes.get_errno(), "capset")


def _watch_changes(report: int, kill_at: int | None, full_from: int | None) -> None:
    number = 0

    def watched(change: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal number
            number += 1
            os.pwrite(report, b"%d" % number, 0)
            if number == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if full_from is not None and number >= full_from and change.__name__ in ("fsync", "mkdir"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return change(*arguments, **named)

        return call

    for name in CHANGES:
        setattr(os, name, watched(getattr(os, name)))


def _work_slowly(pause_s: float, pause_from: int) -> None:
    from tunelab.training.trainer import Trainer

    step, number = Trainer.train_step, 0

    def slow(*arguments: Any) -> Any:
        nonlocal number
        number += 1
        if number >= pause_from:
            time.sleep(pause_s)
        return step(*arguments)

    if pause_s:
        Trainer.train_step = slow  # type: ignore[method-assign]


if __name__ == "__main__":
    _serve(*map(Path, sys.argv[1:]))
