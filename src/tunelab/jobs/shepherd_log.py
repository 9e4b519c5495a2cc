"""The log of a job, over all of its attempts, as the shepherd writes it; no secret is in it.

The standard library alone, as the shepherd, which loads this file by its place.
"""

from __future__ import annotations

import os
import re
import time

TYPE_CHECKING = False  # typing itself takes a hundredth of a second
if TYPE_CHECKING:
    from io import FileIO

LOG_FILE_BYTES = 64 << 20
"""The log goes on in another file after so many bytes; the last two files are kept."""
READ_BYTES = 1 << 20
"""At once, from the worker's output."""


class Log:
    """The log of a job, over all of its attempts: each line begins with the time.

    A file is named for the offset of its first byte in the whole log, so that an offset stays true when the log goes
    on in another file. If the disk refuses a write, the worker is not held up: what was left out is counted and said.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._left_out = 0
        self._hidden: dict[bytes, bytes] = {}
        """Value of a secret -> what is written instead, the longest first."""
        self._any_hidden = re.compile(b"(?!)")
        self._held_back = b""
        files = log_files(folder)
        start = files[-1] if files else 0
        self._file = self._opened(start)
        self._at_line_start = self._ends_with_newline(start)

    def say(self, words: str) -> None:
        """Write a line of the shepherd's own."""
        start = b"" if self._at_line_start else b"\n"
        self.write(start + f"[job] {words}\n".encode())

    def hide(self, secrets: dict[str, str]) -> None:
        """Write none of these values from now on, but their names."""
        longest_first = sorted(secrets.items(), key=lambda item: -len(item[1]))
        self._hidden = {value.encode(): f"[secret {name}]".encode() for name, value in longest_first}
        self._any_hidden = re.compile(b"|".join(map(re.escape, self._hidden)) or b"(?!)")

    def copy(self, descriptor: int) -> bool | None:
        """Write what can be read now; false at the end of it, None if there is nothing yet."""
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return None
        if data:
            self.write(self.without_secrets(data) if self._hidden else data)
        return bool(data)

    def flush(self) -> None:
        """Write what may have been the beginning of a secret, and was none, or a shorter one."""
        self.write(self._any_hidden.sub(lambda found: self._hidden[found[0]], self._held_back))
        self._held_back = b""

    def without_secrets(self, data: bytes) -> bytes:
        """Return what may be written by now: what may be the beginning of a secret waits for the rest of it."""
        data = self._held_back + data
        parts: list[bytes] = []
        at, held_from = 0, self._held_from(data, 0)
        for found in self._any_hidden.finditer(data):
            if found.start() >= held_from:
                break
            parts += [data[at : found.start()], self._hidden[found[0]]]
            at = found.end()
            held_from = held_from if at <= held_from else self._held_from(data, at)
        self._held_back = data[held_from:]
        return b"".join([*parts, data[at:held_from]])

    def _held_from(self, data: bytes, at: int) -> int:
        """Return where, from a byte on, the first beginning of a secret lies that the data may break off."""
        return len(data) - max(_length_of_beginning(data, value, len(data) - at) for value in self._hidden)

    def write(self, data: bytes) -> None:
        """Write some bytes, the time in front of each line."""
        if not data:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)).encode() + b".%03dZ " % (now % 1 * 1000)
        body, ends = (data[:-1], b"\n") if data.endswith(b"\n") else (data, b"")
        stamped = (stamp if self._at_line_start else b"") + body.replace(b"\n", b"\n" + stamp) + ends
        self._at_line_start = bool(ends)
        try:
            if self._left_out:
                note = b"[job] %d bytes left out: the disk refused them\n" % self._left_out
                self._put(note)
                self._left_out = 0
            self._put(stamped)
        except OSError:
            self._left_out += len(data)
        if self._at_line_start and self._file.tell() >= LOG_FILE_BYTES:
            self._go_on_in_another_file()

    def _put(self, data: bytes) -> None:
        """Write all of it or nothing."""
        before, rest = self._file.tell(), memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(before)
            self._file.seek(before)
            raise

    def _go_on_in_another_file(self) -> None:
        files = log_files(self._folder)
        start = files[-1] + self._file.tell()
        try:
            following = self._opened(start)
        except OSError:
            return  # the disk is full: go on in this one
        self._file.close()
        self._file = following
        for old in files[:-1]:
            os.unlink(log_file(self._folder, old))
        self.say(f"the log goes on in another file; what comes before byte {files[-1]} is deleted")

    def _opened(self, start: int) -> FileIO:
        file = open(log_file(self._folder, start), "ab", buffering=0)  # noqa: SIM115 - open as long as the job runs
        file.seek(0, os.SEEK_END)
        return file

    def _ends_with_newline(self, start: int) -> bool:
        size = self._file.tell()
        with open(log_file(self._folder, start), "rb") as file:
            file.seek(max(size - 1, 0))
            return file.read(1) in (b"", b"\n")


def _length_of_beginning(data: bytes, value: bytes, at_most: int) -> int:
    """Return how many of the last bytes are the first ones of a value, but not all of it."""
    return next((n for n in range(min(len(value) - 1, at_most), 0, -1) if data.endswith(value[:n])), 0)


def log_file(folder: str, start: int) -> str:
    """Return the path of the part of a job's log that begins at a byte."""
    return os.path.join(folder, f"log-{start:016d}")


def log_files(folder: str) -> list[int]:
    """Return where each part of a job's log begins, ascending."""
    return sorted(int(name[4:]) for name in os.listdir(folder) if name.startswith("log-") and name[4:].isdecimal())
