"""The warm server of a workspace: started when a warm job is due and none lives.

.tunelab/warm.sock    where it is asked
.tunelab/warm.lock    held by it as long as it lives
.tunelab/warm.log     what it had to say
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tunelab.files import storage_errors
from tunelab.jobs.job_environment import job_environment
from tunelab.jobs.job_folder import JobsFolder, held
from tunelab.jobs.warm_server import ROOM, ROOM_BYTES

_BACKLOG = 128


def warm_socket(folder: JobsFolder) -> Path:
    """Return where the warm server of a workspace is asked."""
    return folder.path / "warm.sock"


def ensure_warm_server(folder: JobsFolder, command: Sequence[str]) -> subprocess.Popen[bytes] | None:
    """Start a warm server unless one lives; shepherds may ask it at once, and wait while it loads.

    Args:
        folder: the jobs' files.
        command: starts it; the numbers of the listening socket's and the lock's descriptors, and a folder, follow.
    """
    with held(folder.path / "warm.lock") as lock:
        if lock is None:
            return None
        with storage_errors(folder.path), (folder.path / "warm.log").open("ab") as log, _listening(folder) as listener:
            descriptors = (listener.fileno(), lock)
            return subprocess.Popen(
                [*command, *map(str, descriptors), str(folder.path)],
                env=job_environment(os.environ) | {ROOM: "x" * ROOM_BYTES},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=descriptors,
                start_new_session=True,
            )


def _listening(folder: JobsFolder) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    home = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY)
    try:  # a socket's path is at most 107 bytes
        name = warm_socket(folder).name
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=home)
        listener.bind(f"/proc/self/fd/{home}/{name}")
        os.chmod(name, 0o600, dir_fd=home)
        listener.listen(_BACKLOG)
    finally:
        os.close(home)
    return listener
