"""Runs one command as several processes, each with a rank of its own, and ends as they ended.

    python -I -S ranks.py NUMBER COMMAND…

What torchrun does for one machine, but for two things that a job leans on: the exit code is that of the command, and a
signal reaches every process at once. The standard library alone, and no import of tunelab, as in the shepherd.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys

_PR_SET_PDEATHSIG = 1
_ENDS_FOR_OTHERS = 75
"""The exit code of a process that lost another one: the other one's says more."""


def main() -> int:
    """Run the processes to their end and return the exit code of all."""
    number, command = int(sys.argv[1]), sys.argv[2:]
    port = _free_port()
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, lambda received, _: _pass_on(processes, received))
    processes: list[subprocess.Popen[bytes]] = []
    libc, parent = ctypes.CDLL(None), os.getpid()

    def die_with_this_process() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    for rank in range(number):
        place = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": number,
            "LOCAL_WORLD_SIZE": number,
            "MASTER_PORT": port,
        }
        environment = os.environ | {name: str(value) for name, value in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
        processes.append(subprocess.Popen(command, env=environment, preexec_fn=die_with_this_process))
    codes = [each.wait() for each in processes]
    return _code_of([code if code >= 0 else 128 - code for code in codes])


def _pass_on(processes: list[subprocess.Popen[bytes]], number: int) -> None:
    for each in processes:
        each.send_signal(number)


def _code_of(codes: list[int]) -> int:
    """Return the code that says most: a user's error, then a signal or a bug, then that others were lost."""
    return min((code for code in codes if code), key=lambda code: (code != 2, code == _ENDS_FOR_OTHERS), default=0)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
