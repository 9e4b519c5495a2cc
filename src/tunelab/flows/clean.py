"""`clean`: data in, data out, with every rejection kept."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunelab.cleaning.clean import OnProgress, clean_files
from tunelab.cleaning.config import CleaningConfig
from tunelab.cleaning.report import CleanReport
from tunelab.sources import SourceConfig, SourceFile, locate_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What cleaning did, and what was decided before it."""

    report: CleanReport
    notes: tuple[str, ...]
    """What was decided on the way, to be said aloud."""


def clean_data(
    data: Sequence[str],
    out: str,
    config: CleaningConfig,
    *,
    test_size: float = 0.0,
    overwrite: bool = False,
    on_progress: OnProgress = lambda done, total, rows: None,
) -> Cleaned:
    """Clean files, folders or globs into `out`; see `clean_files`.

    Raises:
        UserError: data that cannot be read, an output that must not be written, a setting that cannot be.
    """
    files, notes = files_named(data)
    excluded, more = files_named(config.exclude_files) if config.exclude_files else ((), ())
    report = clean_files(
        files,
        Path(out),
        config,
        test_size=test_size,
        excluded=excluded,
        overwrite=overwrite,
        on_progress=on_progress,
    )
    return Cleaned(report=report, notes=(*notes, *more, *report.notes))


def files_named(names: Sequence[str], *, base: Path | None = None) -> tuple[tuple[SourceFile, ...], tuple[str, ...]]:
    """Return all files that some names stand for, both sides of a folder with two, and what was decided."""
    found = locate_data(SourceConfig(data_dir=".", train_files=tuple(names)), base=base or Path(os.curdir))
    return (*found.train, *found.eval), found.notes
