"""Files that are either whole or absent: atomic writes, content hashes, canonical JSON."""

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tunelab.errors import StorageError

LFS_POINTER = b"version https://git-lfs"
"""What a pointer of Git LFS begins with, which lies where a file should that was not fetched."""


def write_file(
    path: Path, content: bytes | str, *, private: bool = False, before: Callable[[], None] = lambda: None
) -> None:
    """Write a file aside, fsync it and rename it into place, so that a reader sees the old file or the new one.

    A `private` one can be read by this user alone, from its first byte on. `before` is called right before the
    renaming; what it raises leaves the old file.
    """
    data = content.encode() if isinstance(content, str) else content
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.unlink(missing_ok=True)
            with open(aside, "wb", opener=_opened_privately if private else None) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            before()
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        _fsync(path.parent)


@contextmanager
def new_folder(path: Path, *, before: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield an empty folder next to `path`; on leaving, fsync its files and rename it to `path`.

    A crash at any instant leaves either no `path` or a whole one. An existing `path` is replaced. `before` is called
    right before the renaming; what it raises leaves `path` as it was.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage_errors(path):
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            yield aside
            for path_inside in (*sorted(aside.rglob("*")), aside):
                _fsync(path_inside)
            before()
            if path.exists():
                outgoing = path.with_name(f".{path.name}.{os.getpid()}.old")
                path.rename(outgoing)
                aside.rename(path)
                shutil.rmtree(outgoing, ignore_errors=True)
            else:
                aside.rename(path)
            _fsync(path.parent)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise


@contextmanager
def new_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield an empty folder; on leaving, fsync the files in it that are named like `paths` and move each to its path.

    `paths` are in one folder. A crash leaves the old file or the new one at each of them; the last one comes last,
    so that its presence implies the others. What else was written into the folder goes.
    """
    home = paths[0].parent
    aside = home / f".{paths[0].name}.{os.getpid()}.tmp"
    with storage_errors(home):
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            yield aside
            for path in paths:
                _fsync(aside / path.name)
            for path in paths:
                (aside / path.name).replace(path)
            _fsync(home)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def read_small_file(path: Path, *, max_bytes: int) -> bytes:
    """Return the bytes of a file that is read whole.

    Raises:
        OSError: as the system says; also a pipe, a device, a file above `max_bytes` and a name that can be none.
    """
    try:
        if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            raise OSError(errno.EINVAL, "a pipe or a device, not a file", str(path))
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, f"the name is none ({error})") from None
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes / 2**20:g} MiB", str(path))
    return content


def expanded(name: str) -> str:
    """Return a path with its ~ replaced; a name with a NUL, which no file can have, as it is."""
    return name if "\0" in name else os.path.expanduser(name)


def cache_folder(name: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return where something of that name is kept: in `TUNELAB_CACHE`, or in `tunelab` in the user's cache folder.

    None if `TUNELAB_CACHE` is set and empty: nothing is kept then.
    """
    if (chosen := environment.get("TUNELAB_CACHE")) is not None:
        return Path(chosen).expanduser() / name if chosen else None
    home = environment.get("XDG_CACHE_HOME") or environment.get("HOME")
    if not home:
        return None
    return Path(home, *(() if environment.get("XDG_CACHE_HOME") else (".cache",)), "tunelab", name)


def remove_leftovers(folder: Path) -> None:
    """Delete what an interrupted `write_file` or `new_folder` left in `folder`."""
    for left in [*folder.glob(".*.tmp"), *folder.glob(".*.old")]:
        shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Let what the system refuses while `path` is written come out as a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        path = path if path.name else path.resolve()  # "." says nothing
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "Nothing that was complete was touched. Free some space and run the same command again."
            raise StorageError("the disk is full", where=str(path), remedy=remedy) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            remedy = "Choose a folder you may write to."
            raise StorageError("writing here is not permitted", where=str(path), remedy=remedy) from error
        remedy = "Nothing that was complete was touched."
        raise StorageError(f"writing failed: {error.strerror or error}", where=str(path), remedy=remedy) from error


def write_json(path: Path, value: object, *, before: Callable[[], None] = lambda: None) -> None:
    """Write `value` as indented UTF-8 JSON, as `write_file` does. NaN and infinity are refused."""
    write_file(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", before=before)


def canonical_json(value: object) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_text(text: str) -> str:
    """Return the hexadecimal SHA-256 of `text` in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_folder(folder: Path) -> dict[str, str]:
    """Return relative path -> SHA-256 for every file below `folder`, sorted by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def _opened_privately(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _fsync(path: Path) -> None:
    """Make a file's bytes, or a folder's list of names, outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
