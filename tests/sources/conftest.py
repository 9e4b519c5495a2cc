from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tunelab.errors import DataError
from tunelab.sources import Row, SourceFile, read_rows, refuse

Read = Callable[..., list[Row]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write one file and return its rows; `bad` collects the errors of bad rows instead of raising."""

    def read(name: str, content: str | bytes, bad: list[DataError] | None = None) -> list[Row]:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        rows: Iterator[Row] = read_rows(
            [SourceFile(name=name, path=path)], on_bad=refuse if bad is None else bad.append
        )
        return list(rows)

    return read
