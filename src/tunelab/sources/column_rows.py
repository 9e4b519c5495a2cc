"""Rows of tables that are stored by column: parquet, and Arrow as `save_to_disk` of the datasets package writes it."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tunelab.errors import DataError
from tunelab.sources.row import Origin, Row
from tunelab.sources.text_stream import MAX_LINE_BYTES, OnBad, open_bytes, unpacked_suffix

if TYPE_CHECKING:
    import polars as pl

MAX_UNPACKED_BYTES = 16 * 2**30
"""A packed file that grows beyond this is refused; other formats are read as a stream."""
COLUMN_SUFFIXES = (".parquet", ".arrow")
_BATCH_ROWS = 1000
_ARROW_FILE = b"ARROW1"
"""What an Arrow file begins with; an Arrow stream does not."""
_DECODE = {
    "parquet": """
import sys, polars
for batch in polars.scan_parquet(sys.argv[1], glob=False).collect_batches(chunk_size=100_000, lazy=True):
    pass
""",
    "Arrow": """
import sys, polars
read = polars.read_ipc if open(sys.argv[1], "rb").read(6) == b"ARROW1" else polars.read_ipc_stream
read(sys.argv[1])
""",
}


def read_columns(path: Path, name: str, on_bad: OnBad) -> Iterator[Row]:
    """Yield the rows of a file of columns, a thousand held at a time; their lines are row numbers. None is bad."""
    line = 0
    for batch in column_frames(path, name):
        # a text that many rows share is in the file once, and in each row that is held
        held = int(max(1, min(512, MAX_LINE_BYTES * batch.height // max(1, batch.estimated_size()))))
        for value in batch.iter_rows(named=True, buffer_size=held):
            line += 1
            yield Row(value=value, origin=Origin(path=name, line=line))


def column_frames(path: Path, name: str) -> "Iterator[pl.DataFrame]":
    """Yield a parquet or Arrow file in frames of about a thousand rows.

    Raises:
        DataError: it is none, or damaged, or grows beyond the limit when it is unpacked.
    """
    import polars as pl

    kind = "parquet" if unpacked_suffix(path) == ".parquet" else "Arrow"
    with open_bytes(path, name) as stream, tempfile.NamedTemporaryFile(suffix=".table") as unpacked:
        plain = path
        if path.suffix.lower() in (".gz", ".zst", ".zstd"):
            while chunk := stream.read(2**20):
                unpacked.write(chunk)
                if unpacked.tell() > MAX_UNPACKED_BYTES:
                    raise DataError(f"it unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB", where=name)
            unpacked.flush()
            plain = Path(unpacked.name)
        _refuse_what_ends_the_process(plain, name, kind)
        try:
            yield from _parquet(plain) if kind == "parquet" else _arrow(plain)
        except (pl.exceptions.PolarsError, OSError) as error:
            article = "a" if kind == "parquet" else "an"
            what = f"not {article} {kind} file, or a damaged one ({str(error).splitlines()[0]})"
            raise DataError(what, where=name) from error


def _parquet(path: Path) -> "Iterator[pl.DataFrame]":
    import polars as pl

    yield from pl.scan_parquet(path, glob=False).collect_batches(chunk_size=_BATCH_ROWS, lazy=True)


def _arrow(path: Path) -> "Iterator[pl.DataFrame]":
    """Yield an Arrow file or stream; it is held whole, which `save_to_disk` keeps to half a gigabyte."""
    import polars as pl

    with path.open("rb") as file:
        is_file = file.read(len(_ARROW_FILE)) == _ARROW_FILE
    yield from (pl.read_ipc(path) if is_file else pl.read_ipc_stream(path)).iter_slices(_BATCH_ROWS)


def _refuse_what_ends_the_process(path: Path, name: str, kind: str) -> None:
    """Raise a DataError if polars does not survive the file: some damaged ones make it abort."""
    command = [sys.executable, "-P", "-c", _DECODE[kind], str(path)]
    if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode < 0:
        raise DataError(f"the {kind} file is damaged", where=name, remedy="Write it again, or fetch it again.")
