"""The warm server of a workspace's jobs: `python -P -m tunelab.cli.fork_jobs LISTENER LOCK FOLDER`.

Its forks run the command line as `python -m tunelab` does: the same code, the same bytes.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from socket import socket
from typing import NoReturn

import tunelab.__main__
from tunelab.jobs.warm_server import IDLE_S, serve


def main() -> None:
    """Load what a run loads, and fork the workers of warm jobs until there are none for a while."""
    listener, _, home = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])  # the lock's is held by being open
    from tunelab.flows.warm_up import warm_up

    warm_up()
    print(f"warm: {_resident_bytes() / 2**20:,.0f} MiB, shared with the jobs that are forked", flush=True)
    serve(socket(fileno=listener), work, home=home, idle_s=IDLE_S)


def work(arguments: list[str]) -> NoReturn:
    """Run a command line in a fork, and end it with the exit code."""
    if (threads := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
        import torch

        torch.set_num_threads(int(threads))  # which it read when it was loaded
    from tunelab.cli import main as command_line

    sys.argv = [tunelab.__main__.__file__, *arguments]
    code = 1
    try:
        command_line.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
