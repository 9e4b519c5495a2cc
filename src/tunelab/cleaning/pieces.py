"""A file in pieces of some megabytes that end where a line ends."""

from collections.abc import Iterator
from dataclasses import dataclass

from tunelab.cleaning.batches import Unreadable
from tunelab.sources import SourceFile
from tunelab.sources.opening import MAX_LINE_BYTES, open_bytes, read_head, too_long

_PIECE_BYTES = 8 * 2**20
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some lines of a file."""

    text: bytes
    """Ends with a line break, except at the end of a file."""
    line: int
    """1-based number of its first line."""
    refused: tuple[Unreadable, ...] = ()
    """A line before it that is too long."""


def read_pieces(file: SourceFile) -> Iterator[Piece]:
    """Yield a file, unpacked, without a byte-order mark.

    Raises:
        DataError: the file is missing, empty, damaged, or not UTF-8 by its first bytes.
    """
    assert file.path is not None
    read_head(file.path, file.name)
    line, rest = 1, b""
    with open_bytes(file.path, file.name) as stream:
        start = stream.read(len(_MARK))
        rest = b"" if start == _MARK else start
        while piece := stream.read(_PIECE_BYTES):
            end = piece.rfind(b"\n") + 1
            if not end:
                rest += piece
                if len(rest) > MAX_LINE_BYTES:
                    yield Piece(text=b"", line=line, refused=(_too_long(line),))
                    rest, line = _behind_the_line(stream), line + 1
                continue
            text, rest = rest + piece[:end], piece[end:]
            yield Piece(text=text, line=line)
            line += text.count(b"\n")
    if rest:
        yield Piece(text=rest, line=line)


def _behind_the_line(stream: object) -> bytes:
    while piece := stream.read(_PIECE_BYTES):  # type: ignore[attr-defined]
        end = piece.find(b"\n") + 1
        if end:
            return bytes(piece[end:])
    return b""


def _too_long(line: int) -> Unreadable:
    return Unreadable(line=line, fault=too_long("", "line").what)
