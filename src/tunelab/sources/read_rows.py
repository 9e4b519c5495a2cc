"""Rows out of files, one at a time."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tunelab.errors import DataError, did_you_mean
from tunelab.sources.column_rows import read_columns
from tunelab.sources.hub import read_split
from tunelab.sources.json_rows import read_json, read_json_lines
from tunelab.sources.row import Row
from tunelab.sources.source_files import SourceFile
from tunelab.sources.table_rows import read_csv, read_tsv
from tunelab.sources.text_rows import read_text
from tunelab.sources.text_stream import OnBad, refuse, unpacked_suffix

_READERS: dict[str, Callable[[Path, str, OnBad], Iterator[Row]]] = {
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_columns,
    ".arrow": read_columns,
    ".txt": read_text,
}


def read_rows(files: Iterable[SourceFile], *, on_bad: OnBad = refuse) -> Iterator[Row]:
    """Yield the rows of the files in order, holding one at a time; blank lines are no rows.

    Args:
        on_bad: receives the error of each unreadable row, and reading goes on after it; the default raises the error.

    Raises:
        DataError: a file that is missing, empty, damaged, in another encoding, or of an unknown kind.
    """
    for file in files:
        count = 0

        def counted(error: DataError) -> None:
            nonlocal count
            count += 1
            on_bad(error)

        for row in _reader(file, counted):
            count += 1
            yield row
        if not count:
            raise DataError("the file holds no rows", where=file.name, expected="at least one")


def _reader(file: SourceFile, on_bad: OnBad) -> Iterator[Row]:
    if file.path is None:
        return read_split(file.name)
    suffix = unpacked_suffix(file.path)
    if suffix not in _READERS:
        raise DataError(
            f'the name ends in "{suffix}"',
            where=file.name,
            expected="a known kind of file",
            remedy=did_you_mean(suffix, _READERS),
        )
    return _READERS[suffix](file.path, file.name, on_bad)
