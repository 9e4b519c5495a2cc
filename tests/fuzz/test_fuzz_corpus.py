"""What broke a reader once never breaks it again, and good inputs are read."""

import time
from pathlib import Path

import pytest

from fuzz.readers import FOLDER, READERS, nano
from fuzz.rows import rows_test
from tunelab.errors import TunelabError

KEPT = sorted(path for kind in ("corpus", "seeds") for path in (FOLDER / kind).glob("*/*"))


@pytest.mark.parametrize("path", KEPT, ids=lambda path: "/".join(path.parts[-3:]))
def test_what_failed_once_is_read_or_refused_in_one_message(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begun = time.process_time()
    message = ""
    try:
        READERS[path.parent.name].feed(path.read_bytes(), tmp_path)
    except TunelabError as error:
        message = str(error)
    assert len(message) < 30_000
    assert time.process_time() - begun < 20


def test_rows_of_any_shape_and_values_of_any_kind_are_read_or_refused_by_line() -> None:
    rows_test(nano(), max_examples=150)()


def test_every_reader_has_something_to_begin_with() -> None:
    assert {path.parent.name for path in KEPT} == set(READERS) - {"rows"}
