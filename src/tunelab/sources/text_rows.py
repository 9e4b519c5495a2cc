"""Rows of plain text: one per paragraph."""

from collections.abc import Iterator
from pathlib import Path

from tunelab.sources.row import Origin, Row
from tunelab.sources.text_stream import MAX_LINE_BYTES, OnBad, read_head, read_lines, too_long


def read_text(path: Path, name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the paragraphs of a text file, each whole however long it is.

    Blank lines part paragraphs. In a file without any between its lines, each line is a document of its own.
    """
    read_head(path, name)
    opens, held, held_bytes = 0, list[str](), 0
    by_line = not _has_blank_line_inside(path, name)
    for number, text in read_lines(path, name, on_bad):
        if text.strip():
            opens = opens if held else number
            held.append(text)
            held_bytes += len(text)
            if held_bytes > MAX_LINE_BYTES:
                raise too_long(f"{name}:{opens}", "paragraph")
        if held and (by_line or not text.strip()):
            yield _row("".join(held), name, opens)
            held, held_bytes = [], 0
    if held:
        yield _row("".join(held), name, opens)


def _row(text: str, name: str, line: int) -> Row:
    return Row(value=text.replace("\r\n", "\n").rstrip("\n"), origin=Origin(path=name, line=line))


def _has_blank_line_inside(path: Path, name: str) -> bool:
    seen_text = seen_blank = False
    for _, text in read_lines(path, name, lambda _: None):
        if text.strip() and seen_blank:
            return True
        seen_text = seen_text or bool(text.strip())
        seen_blank = seen_text and not text.strip()
    return False
