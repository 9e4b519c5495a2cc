"""The process that forks warm jobs: it has loaded what each of them would load, so that a start takes milliseconds.

    shepherd                  this process               its fork, the worker
      | connects, sends command, folder, variables, and the ends of two pipes
      |------------------------->| forks ------------------->|
      |<------------------------------------ "yes PID" ------| once it bears the mark of its job
      |------------------------------------- "go" ---------->| works, as if it had been started afresh
      |<-------- "ended CODE" ---| once it has ended

Nothing is begun twice: without "go" the fork ends, and a shepherd that never said it starts the worker itself. The fork
lives on if this process ends, and is killed by the system at the moment its shepherd ends. It is found by the mark of
its job like any worker (`bear_environment`). Whatever the shepherd asks of an environment or of code that is not what
this process was started with is refused. This process is one thread, and its forks share its memory unless they change
it: what it loads must start no threads, and never touch a GPU.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tunelab.jobs.warm_worker import first_environment

IDLE_S = 60.0
"""The process ends after so long without a job."""
ROOM = "TUNELAB_WARM_ROOM"
"""A long variable, in the place of which a fork writes its own."""
ROOM_BYTES = 6_000
_LOOK_S = 1.0
_REQUEST_S = 1.0
_MOST_BYTES = 1 << 20
_NUM_DESCRIPTORS = 2
_F_SETSIG = 10


def serve(listener: socket.socket, work: Callable[[list[str]], NoReturn], *, home: Path, idle_s: float) -> None:
    """Fork a worker for each shepherd that asks for one, until there was nothing to do for `idle_s`.

    Args:
        listener: where shepherds ask.
        work: does what a command line says and ends the process; called in the fork.
        home: ends the process once this folder is gone.
        idle_s: seconds.
    """
    gc.collect()
    gc.freeze()  # or the first collection in a fork would copy every page that it counts references on
    server = _Server(listener, work)
    last = time.monotonic()
    while server.workers or time.monotonic() - last < idle_s:
        if server.turn():
            last = time.monotonic()
        if not home.is_dir():
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What a shepherd asks for."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]
    """What it was started with, which must be what this process was."""
    variables: dict[str, str]
    """Of this job alone."""
    output: int
    """Descriptor of the pipe that takes what the worker prints."""
    life: int
    """Descriptor of a pipe whose other end is open as long as the shepherd lives."""


class _Server:
    def __init__(self, listener: socket.socket, work: Callable[[list[str]], NoReturn]) -> None:
        self.workers: dict[int, tuple[int, socket.socket]] = {}
        """By the descriptor that tells of its end: number of the process, and the line to its shepherd."""
        self._listener, self._work, self._code = listener, work, state_of_code()
        self._environment = {name: value for name, value in first_environment().items() if name != ROOM}
        self._added = {name: os.environ[name] for name in os.environ if name not in (*self._environment, ROOM)}

    def turn(self) -> bool:
        """Wait a moment for shepherds and ends of workers; return whether there was one."""
        watched = select.poll()
        for descriptor in (self._listener.fileno(), *self.workers):
            watched.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in watched.poll(_LOOK_S * 1000)]
        for descriptor in ready:
            if descriptor == self._listener.fileno():
                self._answer()
            else:
                self._report(descriptor)
        return bool(ready)

    def _answer(self) -> None:
        line, _ = self._listener.accept()
        line.settimeout(_REQUEST_S)
        received: list[int] = []
        forked = False
        with suppress(OSError, ValueError, TypeError):  # a shepherd that is gone, or no shepherd
            packed, received, *_ = socket.recv_fds(line, _MOST_BYTES, _NUM_DESCRIPTORS)
            output, life = received
            request = _Request(**json.loads(packed), output=output, life=life)
            if refusal := self._refusal(request, line):
                line.send(f"no {refusal}".encode())
            else:
                self._fork(request, line)
                forked = True
        for descriptor in received:
            os.close(descriptor)
        if not forked:
            line.close()

    def _refusal(self, request: _Request, line: socket.socket) -> str:
        _, user, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if user != os.geteuid():
            return "another user asks"
        if request.environment != self._environment:
            return "the environment is another one"
        if state_of_code() != self._code:
            return "the code of tunelab has changed"
        return ""

    def _fork(self, request: _Request, line: socket.socket) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            try:
                self._become(request, line)
            except BaseException:
                traceback.print_exc()
            finally:  # whatever happens, no fork goes on as a server
                os._exit(1)
        self.workers[os.pidfd_open(pid)] = (pid, line)

    def _become(self, request: _Request, line: socket.socket) -> None:
        for _, other in self.workers.values():
            other.close()
        keep = {0, 1, 2, line.fileno(), request.output, request.life}
        for descriptor in map(int, os.listdir("/proc/self/fd")):  # the lock that says that the server lives, too
            if descriptor not in keep:
                with suppress(OSError):
                    os.close(descriptor)
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.chdir(request.folder)
        bear_environment(request.environment | self._added | request.variables)
        die_with(request.life)
        line.settimeout(None)
        line.send(f"yes {os.getpid()}".encode())
        if line.recv(16) != b"go":
            os._exit(0)
        line.close()
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (request.output, 1), (request.output, 2)):
            os.dup2(source, target)
        os.close(request.output)
        os.close(null)
        self._work(request.arguments)

    def _report(self, descriptor: int) -> None:
        pid, line = self.workers.pop(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        with suppress(OSError):  # the shepherd may be gone
            line.send(f"ended {os.waitstatus_to_exitcode(status)}".encode())
        line.close()


def bear_environment(environment: Mapping[str, str]) -> None:
    """Take on an environment, in the place where other processes see it (/proc/PID/environ), too.

    Raises:
        OSError: it is larger than the one that the process was started with.
    """
    packed = b"".join(b"%s=%s\0" % (os.fsencode(name), os.fsencode(value)) for name, value in environment.items())
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[47]), int(fields[48])  # env_start and env_end, fields 50 and 51 of proc(5)
    if len(packed) > end - start:
        raise OSError(f"an environment of {len(packed):,} bytes does not fit into {end - start:,}")
    os.environ.clear()
    os.environ.update(environment)  # the C library copies them: nothing refers to the old place any more
    ctypes.memmove(start, packed.ljust(end - start, b"\0"), end - start)


def die_with(life: int) -> None:
    """Let the system kill this process at the moment the other end of a pipe is closed."""
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    watched = select.poll()
    watched.register(life, 0)
    if watched.poll(0):  # it was closed before
        os._exit(0)


def state_of_code() -> tuple[tuple[str, int, int], ...]:
    """Return name, time and size of each file of this package: other code must not run in its name."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
