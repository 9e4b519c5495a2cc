"""A folder copied byte by byte, links as links; what cannot be copied is named."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from tunelab.errors import WorkspaceError


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedTree:
    """What came of copying a folder."""

    num_files: int
    left_out: tuple[str, ...]
    """What was not copied, relative to the folder."""


def copy_tree(source: Path, target: Path, *, without: Callable[[PurePath], bool]) -> CopiedTree:
    """Copy what is in a folder into another one, and return what was copied.

    Left out are sockets, pipes, devices, links that lead nowhere, and the names that `without` says yes to. A link to
    something outside leads to the same place from the copy.

    Raises:
        WorkspaceError: something cannot be read.
        OSError: something cannot be written.
    """
    num_files, left_out = 0, []
    target.mkdir(exist_ok=True)
    for root, folders, files in os.walk(source, onerror=_refuse):
        for name in sorted([*folders, *files]):
            path = Path(root, name)
            relative = path.relative_to(source)
            if without(relative) or not _copy(path, target / relative, source):
                left_out.append(str(relative))
                if name in folders:
                    folders.remove(name)
            else:
                num_files += name in files
    return CopiedTree(num_files=num_files, left_out=tuple(left_out))


def _copy(path: Path, target: Path, source: Path) -> bool:
    """Copy one file or link, or make one folder; return whether that could be done."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return _copy_link(path, target, source)
    if stat.S_ISDIR(mode):
        target.mkdir(exist_ok=True)
    elif stat.S_ISREG(mode):
        try:
            file = path.open("rb")
        except OSError as error:
            raise _unreadable(error) from error
        with file, target.open("xb") as copy:
            shutil.copyfileobj(file, copy)
        shutil.copystat(path, target)
    return stat.S_ISDIR(mode) or stat.S_ISREG(mode)


def _copy_link(path: Path, target: Path, source: Path) -> bool:
    place = path.resolve()
    if not (place.is_file() or place.is_dir()):
        return False
    inside = place.is_relative_to(source)
    target.symlink_to(os.path.relpath(place, path.parent) if inside else place)
    return True


def _refuse(error: OSError) -> None:
    raise _unreadable(error) from error


def _unreadable(error: OSError) -> WorkspaceError:
    return WorkspaceError(f"it cannot be read ({error.strerror})", where=str(error.filename))
