"""Test rows that no training row may repeat: their prompts, and their texts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from tunelab.cleaning.clean_plan import Plan
from tunelab.cleaning.config import CleaningConfig
from tunelab.cleaning.conversation_facts import Shape, find_shape
from tunelab.cleaning.readers.batch import Batch
from tunelab.cleaning.readers.read_batches import OtherPlanError, ReadPlan, first_rows, read_batches
from tunelab.cleaning.rules.apply import Judge, texts_of
from tunelab.cleaning.rules.setting_names import with_columns
from tunelab.conversations import ConversationConfig
from tunelab.errors import DataError, counted, listed
from tunelab.sources import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """What is known of test rows."""

    keys: frozenset[int] | None = None
    """Hashes of their prompts, or of whole rows, of a table without prompts; None if there are none."""
    texts: tuple[str, ...] = ()
    """Their texts, if rows like them are dropped."""
    note: str = ""
    """What was compared with, to be reported; empty if there are none."""


def read_excluded(
    files: Sequence[SourceFile],
    config: CleaningConfig,
    conversation: ConversationConfig,
    shape: Shape | None,
    columns: Sequence[str],
) -> Excluded:
    """Read test rows, brought into the form that cleaning brings rows into; each file may be of a shape of its own.

    Args:
        shape: of the rows that are cleaned.
        columns: of those rows, if they are a table.

    Raises:
        DataError: a row that cannot be read, or rows whose prompts can never equal those of the
            rows that are cleaned: a table, plain texts and conversations are strangers to each other.
    """
    if not files:
        return Excluded()
    keys, texts, count, alone = set[int](), list[str](), 0, dict[str, None]()
    for file in files:
        found, read_plan, evidence = find_shape(first_rows([file]), conversation)
        _refuse_other_kind(file, found, read_plan, evidence, shape)
        fingerprints, more = _read(file, config, found, read_plan)
        keys.update(fingerprints.to_list())
        texts += more
        count += len(fingerprints)
        alone |= dict.fromkeys(
            name for name in (*columns, *read_plan.columns) if (name in columns) != (name in read_plan.columns)
        )
    note = f"compared with {counted(count, 'row')} of {', '.join(file.name for file in files)}"
    if alone and shape is None and not (config.prompt_fields or config.text_fields):
        note += f", row by whole row; only one of them has {listed(alone)} (prompt_fields names what to compare)"
    return Excluded(keys=frozenset(keys), texts=tuple(texts), note=note)


def _refuse_other_kind(
    file: SourceFile, found: Shape | None, read_plan: ReadPlan, evidence: str, shape: Shape | None
) -> None:
    expected = f"{_kind(shape)}, as in the data"
    if found is None and not read_plan.columns:
        raise DataError(evidence, where=file.name, expected=expected)
    if _kind(found) != _kind(shape):
        remedy = "Rows of these two kinds never have the same prompt, so nothing would be found."
        raise DataError(f"the rows are {_kind(found)} ({evidence})", where=file.name, expected=expected, remedy=remedy)


def _read(
    file: SourceFile, config: CleaningConfig, shape: Shape | None, read_plan: ReadPlan
) -> tuple[pl.Series, list[str]]:
    """Return the fingerprints of the rows of a file, and their texts if these are compared."""
    while True:
        try:
            return _read_so(file, config, shape, read_plan)
        except OtherPlanError as other:
            read_plan = other.read_plan


def _read_so(
    file: SourceFile, config: CleaningConfig, shape: Shape | None, read_plan: ReadPlan
) -> tuple[pl.Series, list[str]]:
    same = config.model_dump(
        include={"text_fields", "strip_html", "remove_control_characters", "unicode_normalization", "near_overlap"}
    )
    redacted = {name: "redact" for name in ("personal_data", "secrets") if getattr(config, name) == "redact"}
    judge = Judge(Plan(config=CleaningConfig(**same, **redacted), names=(file.name,)), None)
    fingerprints, texts = [pl.Series(dtype=pl.UInt64)], list[str]()
    batches: Iterable[Batch] = read_batches([file], read_plan)
    if shape is None:
        batches = with_columns(batches, (file.name,), config, "")
    for batch in batches:
        for bad in batch.unreadable:
            raise DataError(bad.fault, where=f"{file.name}:{bad.line}")
        judge.judge(batch)
        fingerprints.append(_fingerprints(batch, file.name, config, shape))
        if config.near_overlap is not None:
            texts += texts_of(batch, config)
    return pl.concat(fingerprints), texts


def _kind(shape: Shape | None) -> str:
    if shape is None:
        return "a table"
    return "plain texts" if shape.format.name == "text" else "conversations"


def _fingerprints(batch: Batch, name: str, config: CleaningConfig, shape: Shape | None) -> pl.Series:
    if shape is None:
        return batch.keys(config.prompt_fields or config.text_fields)
    rows = pl.int_range(len(batch.lines), dtype=pl.UInt32, eager=True)
    said = shape.said(batch.values(rows), name, batch.lines.to_list())
    return pl.Series([each.prompts[-1] for each in said], dtype=pl.UInt64)
