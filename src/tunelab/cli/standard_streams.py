"""Standard input, output and error, whatever they are: closed, full, or in an encoding of few characters."""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False  # typing itself takes a hundredth of a second
if TYPE_CHECKING:
    from typing import TextIO

    from typing_extensions import Buffer


BROKEN_PIPE = 141
"""The exit code if the reader of standard output has gone: 128 + SIGPIPE, as of a program that the signal ends."""


def prepare_standard_streams() -> None:
    """Make the three streams safe to use: afterwards all are open, and no character fails to be written.

    A closed one becomes the null device: otherwise the next file that is opened takes its number, and is written to by
    whatever prints. A character that the encoding lacks is written as its escape. Output that cannot be written (a full
    disk) is a `StorageError`; a reader that has gone stays a BrokenPipeError. What standard error loses is lost.
    """
    for descriptor in range(3):
        _open_if_closed(descriptor)
    sys.stdin = sys.stdin or io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = _text_stream(_Output(1, "wb", closefd=False), sys.stdout)
    sys.stderr = _text_stream(_Error(2, "wb", closefd=False), sys.stderr)


def flush_output() -> int | None:
    """Write what is still held; return the exit code if that fails, once the reason is printed."""
    from tunelab.errors import StorageError

    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    except StorageError as error:
        print(f"tunelab: {error}", file=sys.stderr)
        code = 2
    else:
        return None
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains once more while it shuts down
    return code


class _Output(io.FileIO):
    _is_lost = False

    def write(self, data: Buffer, /) -> int:
        if self._is_lost:
            return memoryview(data).nbytes  # it was said once
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            raise
        except OSError as error:
            self._is_lost = True
            from tunelab.errors import StorageError

            reason, remedy = error.strerror or str(error), "What was printed is incomplete."
            raise StorageError(reason, where="standard output", remedy=remedy) from error


class _Error(io.FileIO):
    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return memoryview(data).nbytes


def _open_if_closed(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)


def _text_stream(raw: io.FileIO, old: TextIO | None) -> io.TextIOWrapper:
    encoding = old.encoding if old is not None else "utf-8"
    at_once = raw.isatty() or raw.fileno() == 2
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=at_once
    )
