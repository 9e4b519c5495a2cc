"""A file as a stream of decoded text: unpacked on the way, UTF-8 only, in bounded memory."""

import codecs
import gzip
import io
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from tunelab.errors import DataError
from tunelab.files import LFS_POINTER
from tunelab.sources.encoding import encoding_remedy
from tunelab.sources.row import Origin

OnBad = Callable[[DataError], None]

MAX_LINE_BYTES = 64 * 2**20
"""A line, a field of a table, a paragraph or an element of an array above this is refused."""
MAX_UNPACKED_TIMES = 200
"""A packed file that grows to more than so many times its size is refused, as soon as it is beyond the next limit."""
ANY_UNPACKED_BYTES = 2**30
"""What every packed file may grow to."""
_HEAD_BYTES = 2**16
_MIN_WIDE_NULS, _WIDE_NULS_SHARE = 3, 0.02
"""UTF-16 has a NUL in each ASCII character, of which data hold some: braces, quotes, separators, line breaks."""
_CHUNK_BYTES = 2**18
_SAMPLE_BYTES = 2**10
"""Before the first byte that is not UTF-8: what an encoding is judged by begins there."""
_PACKED_CHUNK_BYTES = 2**9  # zstandard can unpack a few bytes to 128 KiB: small bites bound what one read can yield
_PACKED = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd", ".zstd": b"\x28\xb5\x2f\xfd"}
_UTF8_MARK = codecs.BOM_UTF8
BYTE_ORDER_MARK = "\ufeff"
"""As it is read within a file: only where files were joined."""
_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def refuse(error: DataError) -> None:
    """Raise a bad row's error: the default of every `on_bad`."""
    raise error


def unpacked_suffix(path: Path) -> str:
    """Return the suffix below a packing one, in lower case: ``.jsonl`` of ``train.jsonl.gz``."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextmanager
def open_bytes(path: Path, name: str) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked if it is gzip or zstd, and turn the faults of its reading into a DataError."""
    try:
        if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            remedy = "Write what comes out of it into a file first; a file may be read more than once."
            raise DataError("this is a pipe or a device, not a file", where=name, remedy=remedy)
        with path.open("rb") as file:
            magic = file.read(len(LFS_POINTER))
            file.seek(0)
            if magic == LFS_POINTER:
                remedy = f"Fetch the file it points to: git lfs pull --include {path.name}"
                raise DataError("this is a pointer of Git LFS, not the file itself", where=name, remedy=remedy)
            suffix = path.suffix.lower()
            if suffix in _PACKED and magic and not magic.startswith(_PACKED[suffix]):
                raise DataError(f"the name ends in {suffix}, but the content is not packed so", where=name)
            if magic.startswith(_PACKED[".gz"]):
                yield io.BufferedReader(_Unpacked(gzip.GzipFile(fileobj=file), file, name), _CHUNK_BYTES)
            elif magic.startswith(_PACKED[".zst"]):
                yield io.BufferedReader(_Unpacked(_ZstdStream(file), file, name), _CHUNK_BYTES)
            else:
                yield file
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        remedy = "Unpack it by hand to see how far it goes, or fetch it again."
        raise DataError(f"the packed file is damaged or cut short ({error})", where=name, remedy=remedy) from error
    except FileNotFoundError:
        raise DataError("there is no such file", where=name) from None
    except IsADirectoryError:
        raise DataError("this is a folder, not a file", where=name) from None
    except PermissionError:
        raise DataError("reading it is not permitted", where=name) from None
    except ValueError as error:  # what Python says of a NUL in a name
        raise DataError(f"the name is none ({error})", where=repr(name)) from None
    except OSError as error:
        raise DataError(f"it cannot be read ({error.strerror or error})", where=name) from error


def read_head(path: Path, name: str, *, by_line: bool = False) -> str:
    """Return the first 64 KiB as text, without a byte-order mark.

    Args:
        by_line: each line is judged alone, so that NUL bytes in one, as a power cut leaves them, spoil no other.

    Raises:
        DataError: the file is empty, or in an encoding that is not UTF-8 (a UTF-16 mark, or NUL bytes).
    """
    with open_bytes(path, name) as stream:
        head = stream.read(_HEAD_BYTES)
    if not head:
        raise DataError("the file is empty", where=name, expected="at least one row")
    marked = next((encoding for mark, encoding in _MARKS.items() if head.startswith(mark)), None)
    wide = marked or ("UTF-16" if _is_utf16(head) else None)
    if wide or (b"\0" in head and not by_line):
        at = 0 if marked else head.index(b"\0")
        line = 1 + head.count(b"\n", 0, at)
        what = f"{'a ' + marked + ' byte-order mark' if marked else 'a NUL byte'} at byte {at + 1:,}"
        remedy = f"The file is {wide}: save it again as UTF-8." if wide else "Take it out, or fetch the file again."
        raise DataError(what, where=f"{name}:{line}", expected="UTF-8 text", remedy=remedy)
    return head.removeprefix(_UTF8_MARK).decode(errors="replace")


def _is_utf16(head: bytes) -> bool:
    """Tell whether text is UTF-16 without a mark: NULs in one half of the pairs of bytes alone, never two in a row."""
    num_even, num_odd = head[0::2].count(0), head[1::2].count(0)
    num = num_even + num_odd
    if 0 not in (num_even, num_odd) or b"\0\0" in head or num < max(_MIN_WIDE_NULS, _WIDE_NULS_SHARE * len(head)):
        return False
    return "\ufffd" not in head[: len(head) & ~1].decode("utf-16-be" if num_even else "utf-16-le", errors="replace")


def read_lines(path: Path, name: str, on_bad: OnBad) -> Iterator[tuple[int, str]]:
    """Yield (1-based number, text with its line end) of each line; undecodable and overlong ones go to `on_bad`."""
    offset, number, remedy = 0, 0, ""
    with open_bytes(path, name) as stream:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            start, offset = offset, offset + len(line)
            where = str(Origin(path=name, line=number))
            if len(line) > MAX_LINE_BYTES:
                while not line.endswith(b"\n") and (line := stream.readline(_CHUNK_BYTES)):
                    offset += len(line)
                on_bad(too_long(where, "line"))
                continue
            if line.startswith(_UTF8_MARK):  # also where files were joined
                line = line.removeprefix(_UTF8_MARK)
                start += len(_UTF8_MARK)
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                remedy = remedy or encoding_remedy(_sample(path, name, line))
                bad = _undecodable(where, start + error.start, remedy)
                bad.row_text = line.decode(errors="replace").rstrip("\r\n")
                on_bad(bad)
                continue
            yield number, text


def read_chunks(path: Path, name: str) -> Iterator[str]:
    """Yield the decoded text in pieces of about 256 KiB.

    Raises:
        DataError: bytes that are not UTF-8, with their line and offset.
    """
    lines = offset = 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_bytes(path, name) as stream:
        while True:
            chunk = stream.read(_CHUNK_BYTES)
            if offset == 0 and chunk.startswith(_UTF8_MARK):
                chunk, offset = chunk[len(_UTF8_MARK) :], len(_UTF8_MARK)
            start = offset - len(decoder.getstate()[0])  # a character may lie across two chunks
            try:
                yield decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line = 1 + lines + error.object.count(b"\n", 0, error.start)
                remedy = encoding_remedy(error.object[max(error.start - _SAMPLE_BYTES, 0) :])
                raise _undecodable(str(Origin(path=name, line=line)), start + error.start, remedy) from None
            lines, offset = lines + chunk.count(b"\n"), offset + len(chunk)
            if not chunk:
                return


def too_long(where: str, thing: str) -> DataError:
    """Return the error of something above the size limit."""
    return DataError(f"this {thing} is longer than {MAX_LINE_BYTES >> 20} MiB", where=where, expected="shorter rows")


def _sample(path: Path, name: str, line: bytes) -> bytes:
    """Return bytes to judge an encoding by: the head of the file, or the line if the head is UTF-8."""
    with open_bytes(path, name) as stream:
        head = stream.read(_HEAD_BYTES)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return head
    return line


def _undecodable(where: str, offset: int, remedy: str) -> DataError:
    what = f"byte {offset + 1:,} of the file is not UTF-8"
    return DataError(what, where=where, expected="UTF-8 text", remedy=remedy)


class _Unpacked(io.RawIOBase):
    """What comes out of a packed file, as long as it is not absurdly more than what went in."""

    def __init__(self, unpacking: Any, file: BinaryIO, name: str) -> None:
        self._unpacking, self._file, self._name, self._size = unpacking, file, name, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = int(self._unpacking.readinto(buffer))
        self._size += count
        if self._size > max(ANY_UNPACKED_BYTES, MAX_UNPACKED_TIMES * self._file.tell()):
            what = f"it unpacks to more than {ANY_UNPACKED_BYTES >> 20:,} MiB and {MAX_UNPACKED_TIMES} times its size"
            remedy = "If this is no attack on your machine, unpack it by hand and name the unpacked file."
            raise DataError(what, where=self._name, remedy=remedy)
        return count


class _ZstdStream(io.RawIOBase):
    """Unpacks zstd frame by frame. The library's own reader takes a file that is cut short for a whole one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._ready, self._packed = file, memoryview(b""), b""
        self._frame: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            self._packed = self._packed or self._file.read(_PACKED_CHUNK_BYTES)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the last frame has no end")
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._ready, self._packed = memoryview(self._frame.decompress(self._packed)), b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count
