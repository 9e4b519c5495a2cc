"""Runs one command as several processes, each with a rank of its own, and ends as they ended.

    python -I -S ranks.py NUMBER COMMAND…

What torchrun does for one machine, but for two things that a job leans on: the exit code is that of the command, and a
signal reaches every process at once. If one ends with a fault, the others are given some seconds to end by themselves,
then asked to, then killed. The standard library alone, and no import of tunelab, as in the shepherd.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1
_ENDS_FOR_OTHERS = 75
"""The exit code of a process that lost another one: the other one's says more."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ASKS = (signal.SIGTERM, signal.SIGKILL)
"""What the others of a process that ended with a fault are sent, one after the other."""
_LOOK_S = 0.1
_PATIENCE_S = 10.0
"""What the others are given to notice that one is gone, and to end once they are asked to."""


def main() -> int:
    """Run the processes to their end and return the exit code of all."""
    number, command = int(sys.argv[1]), sys.argv[2:]
    port = _free_port()
    processes: list[subprocess.Popen[bytes]] = []
    for each in _SIGNALS:
        signal.signal(each, lambda received, _: _pass_on(processes, received))
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until all are there: one that came late would not hear of it
    libc, parent = ctypes.CDLL(None), os.getpid()

    def die_with_this_process() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
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
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    _wait_for(processes)
    return _code_of([each.returncode if each.returncode >= 0 else 128 - each.returncode for each in processes])


def _wait_for(processes: list[subprocess.Popen[bytes]]) -> None:
    """Return once all have ended; one that ends with a fault takes the others with it."""
    asked, lost_at = 0, float("inf")
    while None in (codes := [each.poll() for each in processes]):
        if any(codes):
            lost_at = min(lost_at, time.monotonic())
        if asked < len(_ASKS) and time.monotonic() >= lost_at + (asked + 1) * _PATIENCE_S:
            _pass_on(processes, _ASKS[asked])
            asked += 1
        time.sleep(_LOOK_S)


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
