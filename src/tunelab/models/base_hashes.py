"""SHA-256 of the files of a base model. Each is read once and remembered in the user's cache folder."""

import json
from contextlib import suppress
from pathlib import Path

from tunelab.errors import ModelError, StorageError
from tunelab.files import cache_folder, sha256_file, sha256_text, write_json
from tunelab.models.model_files import read_description
from tunelab.models.weight_headers import weight_files

SOURCE_FILE = "gguf.json"
"""In a folder that was unpacked from a GGUF: name and SHA-256 of that file."""


def hash_base(folder: Path) -> dict[str, str]:
    """Return name -> SHA-256 of config.json and of each file of weights that the base model in `folder` is loaded from.

    Of a model that was unpacked from a GGUF, the hash of that file is among them, as ``model.gguf``.

    Raises:
        ModelError: a file cannot be read.
    """
    files = [file for file in (folder / "config.json", *weight_files(folder)) if file.is_file()]
    source = read_description(folder, SOURCE_FILE).get("sha256")
    try:
        hashes = {file.name: remembered_sha256(file.resolve()) for file in files}
        return hashes | ({"model.gguf": source} if isinstance(source, str) else {})
    except OSError as error:
        where = str(error.filename or folder)
        raise ModelError(f"it cannot be read ({error.strerror or error})", where=where) from error


def remembered_sha256(file: Path) -> str:
    """Return the hash of a file; what was computed before counts as long as the file is the same for the system."""
    cache, identity = cache_folder("weights"), _identity(file)
    entry = cache / f"{sha256_text(str(file))}.json" if cache else None
    if entry is not None:
        with suppress(OSError, ValueError, LookupError, TypeError):
            kept = json.loads(entry.read_text(encoding="utf-8"))
            if kept["file"] == identity:
                return str(kept["sha256"])
    sha256 = sha256_file(file)
    if entry is not None and _identity(file) == identity:
        with suppress(OSError, StorageError):  # a full or read-only disk: computed again the next time
            entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(entry, {"file": identity, "sha256": sha256})
    return sha256


def _identity(file: Path) -> list[str | int]:
    stat = file.stat()
    # A copy may keep size, inode and time of change; nobody sets the time at which the system last wrote its entry.
    return [str(file), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
