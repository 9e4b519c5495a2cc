"""What kind of disk a folder lies on: one of this machine, one over the network, or memory."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

MOUNTS = "/proc/self/mountinfo"
_NETWORK = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "smb2",
        "9p",
        "v9fs",
        "virtiofs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "afs",
    }
    | {"glusterfs", "orangefs", "pvfs2", "panfs", "vboxsf", "prl_fs", "davfs", "ncpfs", "coda", "drvfs"}
)
_LOCAL_FUSE = ("fuseblk", "fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.mergerfs", "fuse.gocryptfs", "fuse.encfs")
_MEMORY = frozenset({"tmpfs", "ramfs"})


def is_network_disk(path: Path) -> bool:
    """Whether what lies there is seen by other machines too, whose locks this one may not see."""
    kind = _kind(path)
    return kind in _NETWORK or (kind.startswith("fuse") and kind not in _LOCAL_FUSE)


def is_memory(path: Path) -> bool:
    """Whether what lies there is on no disk, and gone when the machine goes down."""
    return _kind(path) in _MEMORY


def _kind(path: Path) -> str:
    """Return the type of the file system that holds a path, as the system names it; empty if it does not say."""
    place = os.path.realpath(path)
    found, kind = "", ""
    with suppress(OSError), open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            mount, _, source = line.partition(" - ")
            point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), mount.split(" ")[4])
            is_around = point == "/" or place == point or place.startswith(f"{point}/")
            if is_around and len(point) >= len(found):  # of two at one place, the later one covers the other
                found, kind = point, source.split(" ")[0]
    return kind
