"""`clean`: data in, data out, with every rejection kept."""

import os
from collections.abc import Sequence
from pathlib import Path

from tunelab.cleaning.clean import clean_files
from tunelab.cleaning.clean_report import CleanReport
from tunelab.cleaning.config import CleaningConfig
from tunelab.conversations import ConversationConfig
from tunelab.dataset.cleaned import files_named
from tunelab.events import SILENT, EventLog
from tunelab.sources import SourceConfig, SourceFile, locate_data


def clean_data(
    data: Sequence[str],
    out: str,
    config: CleaningConfig,
    *,
    conversation: ConversationConfig | None = None,
    test_size: float = 0.0,
    overwrite: bool = False,
    events: EventLog = SILENT,
) -> CleanReport:
    """Clean files, folders or globs into `out`, and return what was done; see `clean_files`.

    Raises:
        UserError: data that cannot be read, an output that must not be written, a setting that cannot be.
    """
    files, notes = list[SourceFile](), list[str]()
    for name in data:
        found = locate_data(SourceConfig(data_dir=".", train_files=(name,)), base=Path(os.curdir))
        files += [*found.train, *found.eval]
        notes += found.ignored
    if config.counts_tokens:
        notes.append(f"tokens are counted by the tokenizer {config.tokenizer}")
    return clean_files(
        files,
        Path(out),
        config,
        conversation=conversation,
        test_size=test_size,
        excluded=files_named(config.exclude_files, base=Path(os.curdir)) if config.exclude_files else (),
        overwrite=overwrite,
        notes=notes,
        events=events,
    )
