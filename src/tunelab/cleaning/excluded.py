"""Test rows that no training row may repeat: what they ask, and their texts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from tunelab.cleaning.batch import Batch
from tunelab.cleaning.config import CleaningConfig
from tunelab.cleaning.inputs import refuse_mixed
from tunelab.cleaning.judging import Judge, texts_of
from tunelab.cleaning.names import with_columns
from tunelab.cleaning.plan import Plan
from tunelab.cleaning.reading import OtherWayError, Way, first_rows, read_batches
from tunelab.cleaning.seen import Seen
from tunelab.cleaning.shapes import Shape, find_shape
from tunelab.conversations import ConversationConfig
from tunelab.errors import DataError, counted
from tunelab.sources import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """What is known of test rows."""

    keys: Seen | None = None
    """Hashes of what they ask, or of whole rows, of a table without prompts; None where there are none."""
    texts: tuple[str, ...] = ()
    """Their texts, where rows like them are dropped."""
    told: str = ""
    """What was compared with, to be said aloud; empty where there are none."""


def read_excluded(
    files: Sequence[SourceFile], config: CleaningConfig, conversation: ConversationConfig, shape: Shape | None
) -> Excluded:
    """Read test rows, brought into the form that cleaning brings rows into.

    Raises:
        DataError: a row that cannot be read, or rows that never ask what those that are cleaned (`shape`) ask: a table,
            plain texts and conversations are strangers to each other.
    """
    if not files:
        return Excluded()
    found, way, evidence = find_shape(first_rows(files), conversation)
    if found is None and not way.columns:
        raise DataError(evidence, where=files[0].name, expected=f"{_kind(shape)}, as in the data")
    refuse_mixed(files, found, evidence, conversation)
    if _kind(found) != _kind(shape):
        raise DataError(
            f"the rows are {_kind(found)} ({evidence})",
            where=files[0].name,
            expected=f"{_kind(shape)}, as in the data",
            remedy="Rows of these two kinds never ask the same, so nothing would be found.",
        )
    while True:
        try:
            return _read(files, config, found, way)
        except OtherWayError as other:
            way = other.way


def _read(files: Sequence[SourceFile], config: CleaningConfig, shape: Shape | None, way: Way) -> Excluded:
    names = tuple(file.name for file in files)
    same = config.model_dump(
        include={"text_fields", "strip_html", "remove_control_characters", "unicode_normalization", "near_overlap"}
    )
    redacted = {name: "redact" for name in ("personal_data", "secrets") if getattr(config, name) == "redact"}
    judge = Judge(Plan(config=CleaningConfig(**same, **redacted), names=names), None)
    keys, texts, count = Seen(), list[str](), 0
    batches: Iterable[Batch] = read_batches(files, way)
    if shape is None:
        batches = with_columns(batches, names, config, "")
    for batch in batches:
        for bad in batch.unreadable:
            raise DataError(bad.fault, where=f"{names[batch.file]}:{bad.line}")
        judge.judge(batch)
        asked = _asked(batch, names[batch.file], config, shape)
        keys.add(asked, pl.zeros(len(asked), dtype=pl.UInt64, eager=True))
        count += len(asked)
        if config.near_overlap is not None:
            texts += texts_of(batch, config)
    return Excluded(keys=keys, texts=tuple(texts), told=f"compared with {counted(count, 'row')} of {', '.join(names)}")


def _kind(shape: Shape | None) -> str:
    if shape is None:
        return "a table"
    return "plain texts" if shape.format.name == "text" else "conversations"


def _asked(batch: Batch, name: str, config: CleaningConfig, shape: Shape | None) -> pl.Series:
    if shape is None:
        return batch.keys(config.prompt_fields or config.text_fields)
    rows = pl.int_range(len(batch.lines), dtype=pl.UInt32, eager=True)
    said = shape.said(batch.values(rows), name, batch.lines.to_list())
    return pl.Series([each.prompts[-1] for each in said], dtype=pl.UInt64)
