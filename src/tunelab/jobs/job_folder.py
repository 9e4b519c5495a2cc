"""The files of jobs: `.tunelab` in a workspace, a folder in it for each job, and one in that for each attempt.

.tunelab/jobs.db                    where each job is
.tunelab/origin                     machine, user and path for which all of it was made
.tunelab/jobs.lock                  held while the database is written
.tunelab/runner.lock                held by the runner
.tunelab/slots                      how many jobs run at once
.tunelab/job/ID/job.json            what is to be done; enough to make the database again
.tunelab/job/ID/recipe.yaml         the resolved recipe, written anew at each start
.tunelab/job/ID/lock                held by the shepherd: the attempt lives as long as it is
.tunelab/job/ID/log-OFFSET          the log from that byte on
.tunelab/job/ID/attempt-N/          start.json, began.json, exit.json; stop, if a user asked; stack.txt if it stalled

On a network disk all of it lies in .tunelab/hosts/HOST: each machine has its own, and no lock is shared by two.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tunelab.errors import RunError
from tunelab.files import storage_errors, write_file
from tunelab.jobs.disk import is_network_disk
from tunelab.jobs.job_files import JobFolder
from tunelab.workspace import OWN_FOLDER, Workspace

HOSTS = "hosts"
_MACHINE = ("/etc/machine-id", "/proc/sys/kernel/random/boot_id")
"""What tells this machine from others, the first that says something: in a container often the second alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsFolder:
    """The places of all jobs of a workspace."""

    workspace: Workspace

    @property
    def home(self) -> Path:
        """What tunelab has in the workspace."""
        return self.workspace.path / OWN_FOLDER

    @property
    def path(self) -> Path:
        """The folder itself: `home`, on a network disk a part of it for this machine."""
        return _own_part(self.home)

    @property
    def database(self) -> Path:
        """Where each job is."""
        return self.path / "jobs.db"

    @property
    def write_lock(self) -> Path:
        """Held while the database is written."""
        return self.path / "jobs.lock"

    @property
    def runner_lock(self) -> Path:
        """Held by the one process that starts jobs."""
        return self.path / "runner.lock"

    @property
    def slots_file(self) -> Path:
        """How many jobs run at once."""
        return self.path / "slots"

    @property
    def runner_log(self) -> Path:
        """What the runner had to say."""
        return self.path / "runner.log"

    def job(self, job_id: str) -> JobFolder:
        """Return the folder of a job, which need not exist yet."""
        return JobFolder(path=self.path / "job" / job_id)

    def jobs(self) -> list[JobFolder]:
        """Return the folders that hold a job."""
        return [JobFolder(path=file.parent) for file in sorted((self.path / "job").glob("*/job.json"))]

    @property
    def exists(self) -> bool:
        """Whether there were ever jobs here, of any machine; files of another user are refused.

        Raises:
            RunError: the folder is a link, or another user's: what it names would be run in this user's name.
        """
        for path in dict.fromkeys((self.home, self.path)):
            if not is_of_this_user(path) and os.path.lexists(path):
                what = "this is a link" if path.is_symlink() else "this belongs to another user"
                what = what if path.is_dir() or path.is_symlink() else "this is no folder"
                expected = "a folder of your own: jobs are run in your name"
                raise RunError(what, where=str(path), expected=expected, remedy="Use a workspace of your own.")
        return self.home.exists()

    @property
    def origin_lock(self) -> Path:
        """Held while a copied folder is taken in."""
        return self.path / "origin.lock"

    @property
    def is_own(self) -> bool:
        """Whether what is in the folder was made on this machine, by this user, for this path: it is no copy.

        Raises:
            StorageError: the disk does not say it now.
        """
        with storage_errors(self._origin_file), suppress(FileNotFoundError, ValueError):
            return self._origin_file.read_text(encoding="utf-8") == self._origin()
        return False

    def sign(self) -> None:
        """Note that what is in the folder from now on is made here."""
        write_file(self._origin_file, self._origin())

    @property
    def _origin_file(self) -> Path:
        return self.path / "origin"

    def _origin(self) -> str:
        return f"{_machine()} {os.geteuid()} {self.path.resolve()}\n"

    def make(self) -> None:
        """Make the folder, for this user alone.

        Raises:
            StorageError: it cannot be made.
        """
        if not self.exists or not self.path.exists():
            with storage_errors(self.path):
                self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)


@cache
def _machine() -> str:
    for file in _MACHINE:
        with suppress(
            FileNotFoundError, PermissionError
        ):  # another error passes, and must not look like another machine
            if name := Path(file).read_text(encoding="utf-8").strip():
                return name
    return os.uname().nodename


@cache  # asked with every look at a file
def _own_part(home: Path) -> Path:
    return home / HOSTS / os.uname().nodename if is_network_disk(home) else home


def is_of_this_user(folder: Path) -> bool:
    """Whether this is a folder of the user's own, and no link to one."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


@contextmanager
def held(lock: Path, *, wait: bool = False) -> Iterator[int | None]:
    """Hold a lock file, and yield its descriptor; None if another process holds it and `wait` is false.

    The lock goes with the descriptor and its copies: a process that inherits one holds it on.
    """
    with storage_errors(lock):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def is_in_place(lock: Path, descriptor: int) -> bool:
    """Whether a lock that is held is still the file of its name: a folder that was moved away is another process's."""
    with suppress(OSError):
        return os.path.samestat(os.stat(lock), os.fstat(descriptor))
    return False


def leave_word(file: Path) -> None:
    """Make an empty file, which a full disk takes, too, and see that it outlasts a power cut."""
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
