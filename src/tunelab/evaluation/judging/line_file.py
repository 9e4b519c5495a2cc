"""Records that are appended to a file, one a line, and kept whatever happens to the process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from tunelab.errors import RunError
from tunelab.files import storage_errors, write_file

Record = TypeVar("Record", bound=msgspec.Struct)


class LineFile(Generic[Record]):
    """A file of records, which one process at a time may append to.

    Args:
        path: of the file; it is made with the first record.
        kind: of the records.
    """

    def __init__(self, path: Path, kind: type[Record]) -> None:
        self._path = path
        self._decoder = msgspec.json.Decoder(kind)

    def read(self) -> list[Record]:
        """Return the records in the order of the file; a line that a kill cut off is none.

        Raises:
            RunError: another line is damaged.
        """
        records = []
        for number, line in enumerate(self._whole_lines(), start=1):
            try:
                records.append(self._decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                where, remedy = f"{self._path}:{number}", "Delete the line: what it held is asked again."
                raise RunError(f"this line is damaged ({error})", where=where, remedy=remedy) from error
        return records

    @contextmanager
    def appending(self) -> Iterator[Callable[[Record], None]]:
        """Yield a function that appends a record, on disk when it returns.

        Raises:
            RunError: another process appends to the file.
            StorageError: it cannot be written to.
        """
        with storage_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("ab")
        with file:
            self._lock(file)
            with storage_errors(self._path):
                file.truncate(sum(len(line) + 1 for line in self._whole_lines()))

            def append(record: Record) -> None:
                with storage_errors(self._path):
                    file.write(msgspec.json.encode(record) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())

            yield append

    def sort(self, key: Callable[[Record], Any]) -> None:
        """Write the records in another order, so that the file is the same however it came about.

        Raises:
            StorageError: it cannot be written.
        """
        records = sorted(self.read(), key=key)
        write_file(self._path, b"".join(msgspec.json.encode(record) + b"\n" for record in records))

    def _whole_lines(self) -> list[bytes]:
        try:
            return self._path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunError(f"it cannot be read ({error.strerror})", where=str(self._path)) from error

    def _lock(self, file: Any) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_ino != self._path.stat().st_ino:  # it was sorted meanwhile, into a new file
                raise BlockingIOError
        except OSError as error:
            remedy = "Wait until it has ended."
            raise RunError("another process is writing here", where=str(self._path), remedy=remedy) from error
