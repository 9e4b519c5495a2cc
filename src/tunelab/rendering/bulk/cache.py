"""Rendered data sets kept on disk, so that a check, the training after it and the comparison render once.

An entry is a `.npz` file named by all that can change it: the conversations, the renderer with its tokenizer and
template, the limits, and this room's own code. What cannot be read back whole counts as not there; what cannot be
written is not kept. Both cost time, nothing else. The entries used longest ago go when a folder is above its limit.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import msgspec

from tunelab.conversations.conversation import Conversation
from tunelab.errors import DataError, StorageError
from tunelab.files import write_file
from tunelab.rendering.bulk.codec import restored, stored
from tunelab.rendering.bulk.render_all import render_all
from tunelab.rendering.rendered import RenderedSet
from tunelab.rendering.renderer import Renderer
from tunelab.sources import refuse

MAX_FOLDER_BYTES = 4 * 1024**3
_ABANDONED_S = 24 * 3600  # what a killed process wrote aside is removed a day later


def render_cached(
    conversations: Sequence[Conversation],
    renderer: Renderer,
    *,
    folder: Path | None,
    max_length: int,
    on_too_long: Literal["cut", "drop", "refuse"] = "cut",
    on_bad: Callable[[DataError], None] = refuse,
    on_done: Callable[[int], None] = lambda done: None,
) -> RenderedSet:
    """Return what `render_all` returns and give `on_bad` what it gives, from `folder` if it is kept there.

    Args:
        folder: of the entries; None renders and keeps nothing. The other arguments are those of `render_all`.

    Raises:
        DataError: as `render_all` does; what ends the rendering is not kept.
    """
    key = _key(conversations, renderer, [max_length, on_too_long]) if folder else None
    if folder is None or key is None:
        return render_all(
            conversations, renderer, max_length=max_length, on_too_long=on_too_long, on_bad=on_bad, on_done=on_done
        )
    path = folder / f"{key}.npz"
    if (kept := _read(path, conversations)) is not None:
        rendered, faults = kept
        for fault in faults:
            on_bad(fault)
        return rendered
    faults_met: list[DataError] = []

    def report(fault: DataError) -> None:
        faults_met.append(fault)
        on_bad(fault)

    rendered = render_all(
        conversations, renderer, max_length=max_length, on_too_long=on_too_long, on_bad=report, on_done=on_done
    )
    _keep(path, rendered, faults_met)
    return rendered


def _key(conversations: Sequence[Conversation], renderer: Renderer, limits: list[object]) -> str | None:
    """Return the name of an entry; None for conversations that have no bytes, such as a broken surrogate."""
    digest = hashlib.sha256(_code().encode())
    encoder = msgspec.msgpack.Encoder()
    try:
        digest.update(encoder.encode([renderer.template_hash, *limits, len(conversations)]))
        for conversation in conversations:
            digest.update(encoder.encode(conversation))
    except (TypeError, ValueError, OverflowError):
        return None
    return digest.hexdigest()


@cache
def _code() -> str:
    """Return a hash of what renders: this package's version and files, and the libraries under it."""
    digest = hashlib.sha256()
    for package in ("tunelab", "tokenizers", "jinja2"):
        digest.update(f"{package} {version(package)}\n".encode())
    digest.update(f"{sys.version} {sys.byteorder}\n".encode())
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):  # the whole room
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _read(path: Path, conversations: Sequence[Conversation]) -> tuple[RenderedSet, list[DataError]] | None:
    """Return an entry; None if there is none, or none that is whole."""
    try:
        kept = restored(path.read_bytes(), conversations)
    except Exception:  # zipfile, numpy and msgspec each have their own; a broken entry is no entry
        return None
    with suppress(OSError):
        os.utime(path)  # the last use counts when room is made
    return kept


def _keep(path: Path, rendered: RenderedSet, faults: Sequence[DataError]) -> None:
    try:
        content = stored(rendered, faults)
        if len(content) <= MAX_FOLDER_BYTES:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # rows may be nobody else's business
            write_file(path, content)
            _make_room(path.parent)
    except (OSError, StorageError, ValueError):
        pass  # a full or read-only disk, a text that has no bytes: rendered again the next time


def _make_room(folder: Path) -> None:
    """Remove what is abandoned, and the entries used longest ago until the rest is at most `MAX_FOLDER_BYTES`."""
    size, now = 0, time.time()
    found = [(file, file.stat()) for file in folder.iterdir()]
    for file, stat in sorted(found, key=lambda pair: pair[1].st_mtime, reverse=True):
        size += stat.st_size
        abandoned = file.suffix == ".tmp" and now - stat.st_mtime > _ABANDONED_S
        if abandoned or size > MAX_FOLDER_BYTES:
            file.unlink(missing_ok=True)
