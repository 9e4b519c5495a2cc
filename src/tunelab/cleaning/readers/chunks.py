"""A file in pieces of some megabytes that end where a line ends."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tunelab.sources import SourceFile
from tunelab.sources.text_stream import MAX_LINE_BYTES, open_bytes, read_head, too_long

TABLE_BYTES = 16 * 2**20
"""Of a table: large enough that a piece costs little besides its bytes, small enough that its memory is used again."""
OBJECT_BYTES = 8 * 2**20
"""Of rows that become objects, which take several times the room of their text."""
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some lines of a file."""

    text: bytes
    """Ends with a line break, except at the end of a file."""
    fault: str = ""
    """What is wrong with the one line of this piece; it is too long to be held."""


def read_pieces(file: SourceFile, size: int) -> Iterator[Piece]:
    """Yield a file, unpacked, without a byte-order mark, in pieces of about `size` bytes.

    Raises:
        DataError: the file is missing, empty, damaged, or not UTF-8 by its first bytes.
    """
    assert file.path is not None
    read_head(file.path, file.name, by_line=True)
    with open_bytes(file.path, file.name) as stream:
        is_plain = isinstance(getattr(stream, "raw", None), io.FileIO)
        read = _plain_piece if is_plain else _packed_piece
        text = read(stream, size)
        text = text.removeprefix(_MARK)
        while text:
            last = text.rfind(b"\n", 0, -1) + 1 if len(text) > MAX_LINE_BYTES else len(text)
            if len(text) - last > MAX_LINE_BYTES:  # only the last line can be so long, for a piece is shorter
                yield Piece(text=text[:last])
                yield Piece(text=b"", fault=too_long("", "line").what)
                if not text.endswith(b"\n"):
                    _pass_line(stream)
            else:
                yield Piece(text=text)
            text = read(stream, size)


def _plain_piece(stream: BinaryIO, size: int) -> bytes:
    """Read whole lines; where they end is found first, so that nothing is copied."""
    start = stream.tell()
    stream.seek(size, io.SEEK_CUR)
    stream.readline(MAX_LINE_BYTES + 1)
    end = stream.tell()
    stream.seek(start)
    return stream.read(end - start)


def _packed_piece(stream: BinaryIO, size: int) -> bytes:
    text = stream.read(size)
    return text if text.endswith(b"\n") else text + stream.readline(MAX_LINE_BYTES + 1)


def _pass_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(2**20)) and not rest.endswith(b"\n"):
        pass
