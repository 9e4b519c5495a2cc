"""A worker that a warm server forked, in the hands of its shepherd: what `subprocess.Popen` is of one that it started.

The standard library alone, as the shepherd, which loads this file if its job is warm.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

_LONGEST_WAIT_S = 120.0
"""For a server that is still loading."""
_LOOK_S = 0.2
_LAST_WORD_S = 60.0
"""For a server on a busy machine; one that has ended is noticed at once."""
_MOST_BYTES = 4096


class NotWarmError(Exception):
    """The worker must be started in the ordinary way, and why."""


class WarmWorker:
    """A worker at work, as far as a shepherd looks at one."""

    def __init__(self, pid: int, line: socket.socket, output: int, life: int) -> None:
        self.pid, self.returncode = pid, 0
        self.stdout = open(output, "rb", buffering=0)  # noqa: SIM115 - open as long as the job runs
        self._line, self._life = line, life
        self.handle = os.pidfd_open(pid)
        """Readable once the worker has ended."""

    @classmethod
    def begun(cls, start: dict[str, Any], stop: str) -> Self:
        """Return a worker that has begun to work.

        Args:
            start: what is in start.json.
            stop: the file by which the job is asked to stop: it ends the waiting for a server that is loading.

        Raises:
            NotWarmError: none was begun, and none will be.
        """
        output, writes = os.pipe()
        reads, life = os.pipe()
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            line.settimeout(_LOOK_S)
            _connect(line, start["warm"]["socket"])
            request = {"arguments": start["warm"]["arguments"], "folder": start["cwd"]}
            request |= {"environment": first_environment(), "variables": start["variables"]}
            socket.send_fds(line, [json.dumps(request).encode()], [writes, reads])
            pid = _promised(line, stop)
            worker = cls(pid, line, output, life)
            line.send(b"go")
        except (OSError, ValueError) as error:
            for descriptor in (output, life):
                with suppress(OSError):
                    os.close(descriptor)
            line.close()  # a fork that waits for its "go" ends
            raise NotWarmError(str(error)) from error
        finally:
            os.close(writes)
            os.close(reads)
        return worker

    def poll(self) -> int | None:
        """Return how it ended, as subprocess does; None if it has not."""
        watched = select.poll()
        watched.register(self.handle, select.POLLIN)
        if not watched.poll(0):
            return None
        if self._line.fileno() >= 0:
            self.returncode = _told_code(self._line)
            self._line.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal; the handle names no other process, even if the number does."""
        signal.pidfd_send_signal(self.handle, number)


def first_environment() -> dict[str, str]:
    """Return the variables that this process was started with: Python and what it loads add others."""
    with open("/proc/self/environ", "rb") as file:
        entries = (os.fsdecode(entry).partition("=") for entry in file.read().split(b"\0") if entry)
        return {name: value for name, _, value in entries}


def _connect(line: socket.socket, path: str) -> None:
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:  # a socket's path is at most 107 bytes
        line.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    except OSError as error:
        raise OSError(f"the warm server cannot be reached ({error.strerror})") from error
    finally:
        os.close(folder)


def _promised(line: socket.socket, stop: str) -> int:
    """Return the number of the process that the server forked."""
    last = time.monotonic() + _LONGEST_WAIT_S
    while time.monotonic() < last and not os.path.exists(stop):
        with suppress(TimeoutError):
            word, _, rest = line.recv(_MOST_BYTES).decode().partition(" ")
            if word == "yes":
                return int(rest)
            raise OSError(rest if word == "no" else "the warm server ended")
    raise OSError("the warm server does not answer")


def _told_code(line: socket.socket) -> int:
    """Return how a worker ended; as if killed if the server has gone: the run then tells whether it did its work."""
    line.settimeout(_LAST_WORD_S)
    with suppress(OSError, ValueError):
        word, _, code = line.recv(_MOST_BYTES).decode().partition(" ")
        if word == "ended":
            return int(code)
    return -signal.SIGKILL
