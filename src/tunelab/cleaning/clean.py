"""Cleaning: of files into files, or of rows on their way into training. Both are one and the same."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import msgspec
import polars as pl
from tokenizers import Tokenizer

from tunelab.cleaning.clean_plan import Plan
from tunelab.cleaning.clean_report import CleanReport
from tunelab.cleaning.config import CleaningConfig
from tunelab.cleaning.conversation_facts import Shape, find_shape
from tunelab.cleaning.decontamination import Excluded, read_excluded
from tunelab.cleaning.input_files import each_once, refuse_mixed
from tunelab.cleaning.output.output_files import WRITTEN, Targets, find_targets
from tunelab.cleaning.output.writers import RejectedWriter, RowWriter
from tunelab.cleaning.pipeline import Cleaner, Rejecting
from tunelab.cleaning.readers.batch import RECORD, Batch
from tunelab.cleaning.readers.prefetch import prefetched
from tunelab.cleaning.readers.read_batches import (
    SHAPE_ROWS,
    OtherPlanError,
    ReadPlan,
    field_order,
    first_rows,
    read_batches,
    row_batches,
)
from tunelab.cleaning.rules.apply import Judge
from tunelab.cleaning.rules.setting_names import (
    names_of_texts,
    refuse_unknown_columns,
    refuse_unknown_fields,
    with_columns,
)
from tunelab.cleaning.rules.token_count import token_counter
from tunelab.cleaning.selection.spool import Spool
from tunelab.conversations import ConversationConfig
from tunelab.conversations.field_types import fields_of
from tunelab.conversations.label import LABEL_SETTINGS
from tunelab.errors import RecipeError
from tunelab.events import SILENT, EventLog, Planned, Progress
from tunelab.files import write_json
from tunelab.sources import Origin, Row, SourceFile
from tunelab.sources.gc_pause import collector_at_rest

_IN_MEMORY = 100_000


def clean_files(
    files: Sequence[SourceFile],
    out: Path,
    config: CleaningConfig,
    *,
    conversation: ConversationConfig | None = None,
    test_size: float = 0.0,
    excluded: Sequence[SourceFile] = (),
    overwrite: bool = False,
    notes: Sequence[str] = (),
    events: EventLog = SILENT,
) -> CleanReport:
    """Clean files into `out`, with what was rejected and the counts next to it, and return what was done.

    Next to ``clean.jsonl`` are ``clean.rejected.jsonl`` and ``clean.report.json``.

    The files themselves are never changed. What is written appears whole or not at all. The same files, settings and
    seed give the same bytes.

    Args:
        out: a file; with `test_size` a folder, which gets ``train.*``, ``test.*``, ``rejected.jsonl``, ``report.json``.
        test_size: share of the kept rows that is split off; sessions, and rows with the same prompt, stay together.
        excluded: test rows; a row with the same prompt as one of them is dropped.
        overwrite: whether what is at `out` is replaced.
        notes: what was decided before, to be said aloud.
        events: receives what will be read, and how far reading has come.

    Raises:
        DataError: files that cannot be read, or are of several kinds; an `out` that exists, is among the files,
            or is of an unknown kind.
        StorageError: the disk refused.
    """
    settings = conversation or ConversationConfig()
    files, again = each_once(files)
    targets = find_targets(files, out, splits=test_size > 0, overwrite=overwrite)
    left = targets.left_behind()
    first = first_rows(files)
    shape, read_plan, evidence = find_shape(first, settings)
    refuse_mixed(files, shape, evidence, settings)
    _refuse_what_has_no_effect(config, settings, shape, excluded)
    if any(getattr(settings, name) for name in LABEL_SETTINGS) and not config.by_class:
        remedy = "Set max_per_class or stratified, or leave the label out."
        raise RecipeError("a label is named, and nothing is sampled by it", remedy=remedy)
    names = _refuse_unknown_names(config, settings, shape, read_plan, first)
    known = read_excluded(excluded, config, settings, shape, read_plan.columns)
    while True:
        fields = field_order(fields_of(row) for row in first)
        said = (*notes, *again, evidence, *targets.notes_on_fields(first, fields), *left)
        plan = _plan(config, settings, files, shape, said, known, test_size, names)
        judge = Judge(plan, shape, known.keys, _counter(config))
        batches = _with_progress(prefetched(read_batches(files, read_plan)), files, events)
        if read_plan.columns or shape is None:
            batches = with_columns(batches, plan.names, config, plan.label_field)
        try:
            with collector_at_rest():
                return _written(plan, judge, batches, targets, fields)
        except OtherPlanError as other:
            read_plan = other.read_plan


def clean_rows(
    rows: Iterable[Row],
    config: CleaningConfig,
    *,
    conversation: ConversationConfig,
    excluded: Sequence[SourceFile] = (),
    draws: bool = True,
    reject: Rejecting = lambda reasons, shown: None,
    tokenizer: Tokenizer | None = None,
) -> tuple[list[Row], CleanReport]:
    """Return the rows that are kept, in their order, with what was done.

    Args:
        draws: False for held-out rows, in which a role that settings name need not speak.
        reject: takes the rejected rows, as they were read, with the place and the reason of each.
        tokenizer: that of the recipe's base model.

    Raises:
        DataError: `excluded` cannot be read, or is of another shape.
    """
    held = list(rows)
    files = [SourceFile(name=name, path=None) for name in dict.fromkeys(row.origin.path for row in held)]
    shape, read_plan, evidence = find_shape(held[:SHAPE_ROWS], conversation)
    _refuse_what_has_no_effect(config, conversation, shape, excluded)
    found = _refuse_unknown_names(config, conversation, shape, read_plan, held[:SHAPE_ROWS])
    names = found if draws else ()
    known = read_excluded(excluded, config, conversation, shape, read_plan.columns)
    plan = _plan(config, conversation, files, shape, (evidence,), known, 0.0, names)
    kept: list[Row] = []

    def keep(records: pl.DataFrame, notes: pl.DataFrame, is_test: bool) -> None:
        for record, file, line in zip(records[RECORD], notes["file"], notes["line"], strict=True):
            kept.append(Row(value=msgspec.json.decode(record), origin=Origin(path=files[file].name, line=line)))

    judge = Judge(plan, shape, known.keys, _counter(config, tokenizer))
    cleaner = Cleaner(plan, judge, _spool(plan, None), keep=keep, reject=reject)
    batches: Iterable[Batch] = row_batches(held, {file.name: number for number, file in enumerate(files)}, read_plan)
    if read_plan.columns or shape is None:
        batches = with_columns(batches, plan.names, config, plan.label_field)
    return kept, cleaner.clean(batches)


def _refuse_what_has_no_effect(
    config: CleaningConfig, conversation: ConversationConfig, shape: Shape | None, excluded: Sequence[SourceFile]
) -> None:
    """Raise a RecipeError for settings that have no effect without another one."""
    if config.by_class and conversation.label_field is None and shape is None:
        remedy = "Set label_field to the column of the class."
        raise RecipeError("the rows are a table, and no column is named as their class", remedy=remedy)
    if config.near_overlap is not None and not excluded:
        raise RecipeError(
            "near_overlap is set, and no test rows are named", remedy="Name their files in exclude_files."
        )
    if config.tokenizer != "nano" and not config.counts_tokens:
        raise RecipeError("tokenizer is set, and no tokens are counted", remedy="Set min_tokens or max_tokens.")
    compares_prompts = config.conflicts != "keep" or config.drop_duplicates == "prompt"
    if compares_prompts and shape is None and not config.prompt_fields:
        remedy = "Set prompt_fields to the columns of the prompt; the others are the answer."
        raise RecipeError("the rows are a table, and no column is named as their prompt", remedy=remedy)


def _refuse_unknown_names(
    config: CleaningConfig,
    conversation: ConversationConfig,
    shape: Shape | None,
    read_plan: ReadPlan,
    first: Sequence[Row],
) -> tuple[tuple[str, str], ...]:
    """Return the settings and names that nothing but all rows can tell of; others are refused here."""
    if read_plan.columns:
        refuse_unknown_columns(config, conversation, read_plan.columns)
    if shape is not None:
        refuse_unknown_fields(first, config, conversation)
        if config.by_class:
            shape.refuse_unknown_label(first)
    if read_plan.columns:
        return ()
    fields = {field for row in first for field in fields_of(row)} if config.drop_duplicates == "row" else set()
    return tuple(named for named in names_of_texts(config) if named[0] != "text_fields" or named[1] not in fields)


def _written(
    plan: Plan, judge: Judge, batches: Iterable[Batch], targets: Targets, fields: Sequence[str]
) -> CleanReport:
    with targets.written_aside() as folder:
        with ExitStack() as stack:
            rejected = stack.enter_context(RejectedWriter(folder / targets.rejected.name))
            writers = [stack.enter_context(RowWriter(folder / path.name, str(path), fields)) for path in targets.rows]

            def keep(rows: pl.DataFrame, notes: pl.DataFrame, is_test: bool) -> None:
                writers[is_test].write(rows)

            report = Cleaner(plan, judge, _spool(plan, folder), keep=keep, reject=rejected.write).clean(batches)
        written = [path.name for path in targets.rows]
        write_json(folder / targets.report.name, {WRITTEN: written, **asdict(report)})
    return report


def _plan(
    config: CleaningConfig,
    conversation: ConversationConfig,
    files: Sequence[SourceFile],
    shape: Shape | None,
    notes: tuple[str, ...],
    known: Excluded,
    test_size: float,
    names_to_find: tuple[tuple[str, str], ...],
) -> Plan:
    several = (f"{len(files)} files: {', '.join(file.name for file in files)}",) if len(files) > 1 else ()
    return Plan(
        config=config,
        names=tuple(file.name for file in files),
        test_size=test_size,
        excluded_texts=known.texts,
        compared=known.note,
        names_to_find=names_to_find,
        label_field=conversation.label_field or "",
        label_setting=next((name for name in LABEL_SETTINGS if getattr(conversation, name) is not None), "answer"),
        format="" if shape is None else shape.format.name,
        notes=(*several, *notes),
    )


def _spool(plan: Plan, folder: Path | None) -> Spool | None:
    """Return the spool of rows: few that are sampled by nothing but chance in memory, others in files."""
    if not plan.needs_all_rows:
        return None
    if plan.most is not None and plan.most <= _IN_MEMORY:
        return Spool(None, plan.most)
    if folder is not None:
        folder = folder / "spool"
        folder.mkdir()
    return Spool(folder, None)


def _counter(
    config: CleaningConfig, of_base_model: Tokenizer | None = None
) -> Callable[[Sequence[str]], list[int]] | None:
    return token_counter(config.tokenizer, of_base_model=of_base_model) if config.counts_tokens else None


def _with_progress(batches: Iterable[Batch], files: Sequence[SourceFile], events: EventLog) -> Iterator[Batch]:
    """Yield the batches, and report each when it is done."""
    packed = any(file.path is None or file.path.suffix.lower() in (".gz", ".zst", ".zstd") for file in files)
    total = 0 if packed else sum(file.path.stat().st_size for file in files if file.path is not None)
    events.emit(Planned(stage="cleaning", amounts={"files": len(files), **({"bytes": total} if total else {})}))
    done = rows = 0
    for batch in batches:
        yield batch
        done += batch.num_bytes
        rows += len(batch.lines) + len(batch.unreadable)
        if done:
            events.emit(Progress(stage="cleaning", done=done, total=total, unit="bytes", rows=rows))
        else:
            events.emit(Progress(stage="cleaning", done=rows, total=0, unit="rows"))
