"""An SQLite file that many processes write at once, and that is made again if it is missing, cut or damaged.

Readers and writers queue at a lock of the system before they ask SQLite: its own waiting is unfair, and of eight
submitters one waited for ten seconds and more, in a read. Readers hold it alone, too: shared, they overtook writers for
seconds. The journal is the classic one: write-ahead logging could corrupt a database before SQLite 3.51.3, and is
no faster for one writer at a time.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tunelab.errors import StorageError
from tunelab.files import storage_errors
from tunelab.jobs.job_folder import held

_VERSION = 1
_SIZE = ("page_size", "page_count")
_LONGEST_WAIT_S = 30


class Database:
    """An open database file.

    Args:
        path: the file.
        lock: held while it is written.
        schema: what makes its tables.
        fill: called with a new file's connection, to put in what is known from elsewhere; returns how many rows it did.
    """

    def __init__(self, path: Path, *, lock: Path, schema: str, fill: Callable[[sqlite3.Connection], int]) -> None:
        self.path = path
        self.rebuilt = ""
        """Why the file was made again; empty if it was not, or is the first one."""
        self._lock, self._schema, self._fill = lock, schema, fill
        self._is_writing = False
        with self._storage_errors():
            try:
                with held(lock, wait=True):
                    self.connection = self._opened()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                with held(lock, wait=True):
                    self._open_or_make()

    @property
    def is_current(self) -> bool:
        """Whether the open file is still the one in the folder: another process may have made it again."""
        with suppress(FileNotFoundError):
            return os.stat(self.path).st_ino == self._inode
        return False

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection in a transaction of its own, which is rolled back if an error leaves the context.

        Raises:
            StorageError: the disk refuses it; nothing was changed then.
        """
        with self._storage_errors(), held(self._lock, wait=True):
            if not self.is_current:
                self.connection.close()
                self._open_or_make()
            self.connection.execute("BEGIN IMMEDIATE")
            self._is_writing = True
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):  # SQLite has taken back what failed to be written
                    self.connection.execute("ROLLBACK")
                if type(error) is sqlite3.DatabaseError:
                    self._make(str(error))
                    what = f"the database was damaged ({error}) and has been made again"
                    raise StorageError(what, where=str(self.path), remedy="Run the same command again.") from error
                raise
            finally:
                self._is_writing = False

    def read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query; a damaged file is made again first."""
        if self._is_writing:
            return self.connection.execute(query, values).fetchall()
        with self._storage_errors():
            try:
                return self._rows(query, values)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self.make_again(str(error))
                return self._rows(query, values)

    def make_again(self, why: str) -> None:
        """Make the file again from what is known elsewhere."""
        with held(self._lock, wait=True):
            if self.is_current:  # else another process has done it meanwhile
                self._make(why)
            self.connection.close()
            self._open_or_make()

    def faults(self) -> list[str]:
        """Return what SQLite finds wrong in the file."""
        found = [str(row[0]) for row in self.read("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found

    def _rows(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with held(self._lock, wait=True):
            if not self.is_current:
                self.connection.close()
                self._open_or_make()
            return self.connection.execute(query, values).fetchall()

    def _opened(self) -> sqlite3.Connection:
        if not self.path.exists():
            raise sqlite3.DatabaseError("the file is missing")
        if not self.path.is_file():
            raise sqlite3.DatabaseError("it is no file")
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=_LONGEST_WAIT_S)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                raise sqlite3.DatabaseError(f"its version is {version}, not {_VERSION}")
            (page_size,), (pages,) = (connection.execute(f"PRAGMA {each}").fetchone() for each in _SIZE)
            size = os.stat(self.path).st_size
            if size < pages * page_size:  # SQLite takes a page cut in two for a whole one
                raise sqlite3.DatabaseError(f"{size:,} of its {pages * page_size:,} bytes are left")
        except BaseException:
            connection.close()
            raise
        self._inode = os.stat(self.path).st_ino
        return connection

    def _open_or_make(self) -> None:
        """Open the file, or make it again; the lock is held."""
        try:
            self.connection = self._opened()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            self._make(str(error))
            self.connection = self._opened()

    def _make(self, why: str) -> None:
        aside = self.path.with_name(f"{self.path.name}.new")
        aside.unlink(missing_ok=True)
        fresh = sqlite3.connect(aside, isolation_level=None)
        try:
            fresh.executescript(f"PRAGMA synchronous = FULL; BEGIN; {self._schema}; PRAGMA user_version = {_VERSION};")
            num_rows = self._fill(fresh)
            fresh.execute("COMMIT")
        finally:
            fresh.close()
        self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)  # it would be played into the new file
        had_file = self.path.exists()
        if had_file:
            self.path.rename(self.path.with_name(f"{self.path.name}.damaged"))
        aside.rename(self.path)
        self.rebuilt = why if had_file or num_rows else ""

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        """Let what SQLite says of a disk that is full or read-only come out as a StorageError."""
        try:
            with storage_errors(self.path):
                yield
        except sqlite3.OperationalError as error:
            remedy = "Nothing was changed. Free some space, or choose a folder you may write to, and run it again."
            raise StorageError(f"the database refuses: {error}", where=str(self.path), remedy=remedy) from error
