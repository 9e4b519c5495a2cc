"""What a model answered, kept for good: a second evaluation asks nothing again, and a killed one goes on.

One file for each model, to which lines are appended. A line that was cut off by a kill is left out.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import msgspec

from tunelab.evaluation.rows.evaluated_row import WrittenAnswer
from tunelab.files import canonical_json, storage_errors
from tunelab.generation.completion import Sampling
from tunelab.rendering.rendered import TokenIds

Kept = WrittenAnswer | float
"""An answer, or the log-probability (nats) of a completion."""


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    key: str
    answer: WrittenAnswer | None = None
    log_prob: float | None = None


def answer_key(prompt_ids: TokenIds, sampling: Sampling, *, repeat: int = 0) -> str:
    """Return what an answer is kept under; `repeat` numbers those that are asked for again."""
    return _digest("answer", canonical_json(asdict(sampling)), str(repeat), ids=[prompt_ids])


def completion_key(prompt_ids: TokenIds, completion_ids: TokenIds) -> str:
    """Return what the log-probability of a completion is kept under."""
    return _digest("completion", ids=[prompt_ids, completion_ids])


class AnswerCache:
    """The answers of one model.

    Args:
        file: where they are kept; it is made with the first one.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, Kept] = {}
        self._read()

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def get(self, key: str) -> Kept | None:
        """Return what is kept, None if it was not asked yet."""
        return self._kept.get(key)

    def add(self, kept: Mapping[str, Kept]) -> None:
        """Keep answers; those that are there already stay as they are.

        Raises:
            StorageError: they cannot be written.
        """
        new = {key: value for key, value in kept.items() if key not in self._kept}
        if not new:
            return
        text = b"".join(msgspec.json.encode(_line(key, value)) + b"\n" for key, value in new.items())
        with storage_errors(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if _ends_in_mid_line(self._file):
                    file.write(b"\n")
                file.write(text)
        self._kept |= new

    def _read(self) -> None:
        try:
            lines = self._file.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for line in _read_lines(lines):
            value = line.log_prob if line.answer is None else line.answer
            if value is not None:
                self._kept.setdefault(line.key, value)


def _read_lines(lines: Iterable[bytes]) -> Iterable[_Line]:
    decoder = msgspec.json.Decoder(_Line)
    for line in lines:
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # cut off by a kill: it is asked again


def _line(key: str, value: Kept) -> _Line:
    return _Line(key, answer=value) if isinstance(value, WrittenAnswer) else _Line(key, log_prob=value)


def _ends_in_mid_line(file: Path) -> bool:
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        if not size:
            return False
        opened.seek(size - 1)
        return opened.read(1) != b"\n"


def _digest(*words: str, ids: Iterable[TokenIds]) -> str:
    digest = hashlib.blake2b(canonical_json(words).encode(), digest_size=16)
    for some in ids:
        digest.update(f"|{len(some)}|".encode())
        digest.update(some.astype("<i4").tobytes())
    return digest.hexdigest()
