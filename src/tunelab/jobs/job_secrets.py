"""Secrets of a job: it knows their names and the files that hold their values, never a value.

A variable of whoever submits is kept in a file in memory, for this user alone and gone when the machine goes down; a
file that the user names stays where it is. The shepherd reads either when the attempt starts, puts the value into the
environment of the worker alone, and leaves it out of the log.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tunelab.errors import UserError
from tunelab.files import sha256_text, storage_errors, write_file
from tunelab.jobs.disk import is_memory

if TYPE_CHECKING:
    from tunelab.jobs.job import JobSpec
    from tunelab.jobs.job_folder import JobsFolder

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOADS_CODE = re.compile(
    r"(PYTHON|LD_|DYLD_|TUNELAB_|TORCH|TRITON|CUDA|NCCL|OMP_|GIT_|BASH_|GCONV_|OPENSSL_|XDG_).*"
    r"|PATH|HOME|ENV|IFS|SHELL|TMPDIR|CC|CXX|HF_HOME|HF_MODULES_CACHE|TRANSFORMERS_CACHE",
    re.IGNORECASE,
)
"""Variables that decide what a process loads or starts."""
_OWN_FOLDER = "tunelab"
SHARED_MEMORY = Path("/dev/shm")
_FEWEST_CHARACTERS, _MOST_BYTES = 6, 65_536
_WHERE = "--secret"


def secret_files(
    given: Sequence[str], folder: JobsFolder, job_id: str, *, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the file of each secret by its name; those of variables are yet to be written, by `keep_secrets`.

    Args:
        given: `NAME`, a variable of the environment; or `NAME=FILE`.
        folder: of the jobs.
        job_id: of the job.
        environment: of whoever submits.

    Raises:
        UserError: a name is none, a variable is not set, a file cannot be read or is open to others.
    """
    files = {}
    for each in given:
        name, is_file, file = each.partition("=")
        if not _NAME.fullmatch(name):
            raise UserError(f'"{name}" is no name of a variable', where=_WHERE, expected="NAME or NAME=FILE")
        if not may_be_secret(name):
            what = f"the variable {name} decides what a process loads, and cannot be a secret"
            raise UserError(what, where=_WHERE, remedy="Give the value in a variable of another name.")
        files[name] = _given_file(name, Path(file)) if is_file else _memory_file(name, folder, job_id, environment)
    return files


def may_be_secret(name: str) -> bool:
    """Whether this is the name of a variable, and of none that decides what a process loads."""
    return _NAME.fullmatch(name) is not None and _LOADS_CODE.fullmatch(name) is None


def keep_secrets(spec: JobSpec, environment: Mapping[str, str] = os.environ) -> None:
    """Write the values of a job's secrets to their files in memory, as far as the environment has them.

    Raises:
        UserError: one is neither there nor in the environment.
    """
    for name, file in spec.secrets.items():
        path = Path(file)
        if _is_in_memory(path, spec) and name in environment:
            with storage_errors(path):
                path.parent.parent.parent.mkdir(mode=0o700, exist_ok=True)
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            before = os.umask(0o077)
            try:
                write_file(path, environment[name])
            finally:
                os.umask(before)
        elif not path.exists():
            remedy = f"Set {name} and give the same command again."
            raise UserError(f"the secret {name} is not there any more", where=file, remedy=remedy)


def forget_secrets(spec: JobSpec) -> None:
    """Delete what `keep_secrets` wrote."""
    for file in spec.secrets.values():
        if _is_in_memory(Path(file), spec):
            with suppress(OSError):
                os.unlink(file)
            with suppress(OSError):
                os.rmdir(os.path.dirname(file))


def _given_file(name: str, file: Path) -> str:
    file = file.expanduser().absolute()
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no regular file")
        length = len(file.read_text(encoding="utf-8").strip())
    except (OSError, ValueError) as error:
        what = f"the secret {name} cannot be read ({getattr(error, 'strerror', None) or error})"
        raise UserError(what, where=str(file), expected="a file that holds its value") from error
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UserError(
            f"others may read the secret {name}, too",
            where=str(file),
            expected="a file of your own, for you alone",
            remedy=f"chmod 600 {file}",
        )
    _require_length(name, length, where=str(file))
    return str(file)


def _memory_file(name: str, folder: JobsFolder, job_id: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise UserError(f"the variable {name} is not set", where=_WHERE, remedy=f"Set it, or give {name}=FILE.")
    _require_length(name, len(environment[name].strip()), where=_WHERE)
    workspace = sha256_text(str(folder.path.resolve()))[:12]
    return str(_memory(environment) / workspace / job_id / name)


def _memory(environment: Mapping[str, str]) -> Path:
    """Return a folder for this user's secrets that is on no disk."""
    own = Path(environment.get("XDG_RUNTIME_DIR") or "/none")
    places = (own / _OWN_FOLDER, SHARED_MEMORY / f"{_OWN_FOLDER}-{os.geteuid()}")
    for place in places:
        if place.parent.is_dir() and is_memory(place) and os.access(place.parent, os.W_OK) and _is_ours(place):
            return place
    remedy = "Put the value into a file that only you may read, and give --secret NAME=FILE."
    raise UserError("there is no place in memory to keep a secret", where=_WHERE, remedy=remedy)


def _is_ours(place: Path) -> bool:
    """Whether a folder is this user's alone, or may be made: in shared memory others may come first."""
    if not os.path.lexists(place):
        return True
    found = place.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077


def _is_in_memory(path: Path, spec: JobSpec) -> bool:
    """Whether `keep_secrets` writes it: a file that a user named is never written or deleted."""
    return path.parent.name == spec.id and path.parent.parent.parent.name.startswith(_OWN_FOLDER) and is_memory(path)


def _require_length(name: str, length: int, *, where: str) -> None:
    if length < _FEWEST_CHARACTERS or length > _MOST_BYTES:
        expected = f"{_FEWEST_CHARACTERS} to {_MOST_BYTES:,}: a shorter one cannot be left out of a log"
        raise UserError(f"the secret {name} has {length:,} characters", where=where, expected=expected)
