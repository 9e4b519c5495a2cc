"""Where what is cleaned goes: whole or not at all, and never over what is read."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tunelab.cleaning.output.writers import OUT_SUFFIXES, TABLE_SUFFIXES, check_suffix, no_place_for_lists
from tunelab.conversations.field_types import fields_of
from tunelab.errors import DataError, listed
from tunelab.files import new_files, read_small_file
from tunelab.sources import Row, SourceFile
from tunelab.sources.column_rows import COLUMN_SUFFIXES
from tunelab.sources.text_stream import unpacked_suffix

REJECTED, REPORT = "rejected.jsonl", "report.json"
WRITTEN = "written"
"""Field of a report that names the files of kept rows."""
_MOST_REPORT_BYTES = 100_000_000
_SPLIT_FILE = re.compile(r"(?:train|test)\.(?:jsonl?|ndjson|csv|tsv|parquet|txt)(?:\.(?:gz|zst|zstd))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The files that are written, all in one folder."""

    rows: tuple[Path, ...]
    """Of the kept rows: one file, or ``train.*`` and ``test.*``."""
    rejected: Path
    """Of the rejected rows."""
    report: Path
    """Of the counts."""

    @property
    def folder(self) -> Path:
        """The folder they are in."""
        return self.rows[0].parent

    def notes_on_fields(self, first: Sequence[Row], fields: Sequence[str]) -> tuple[str, ...]:
        """Return what is to be said of rows whose fields differ, if they go into columns.

        Raises:
            DataError: they hold lists or objects, which have no place there.
        """
        suffix = unpacked_suffix(self.rows[0])
        is_columns = bool(first) and unpacked_suffix(Path(first[0].origin.path)) in COLUMN_SUFFIXES
        if suffix not in (*TABLE_SUFFIXES, ".parquet") or (is_columns and suffix == ".parquet"):
            return ()
        for row in first:
            for field, value in fields_of(row).items():
                if isinstance(value, dict | list):
                    raise no_place_for_lists(field, str(self.rows[0]), is_json=not is_columns)
        if all(tuple(fields_of(row)) == tuple(fields) for row in first):
            return ()
        return (f"not all rows have the same fields in one order: the columns are {listed(fields)}, as in most rows",)

    def left_behind(self) -> tuple[str, ...]:
        """Return what is to be said of folders with rows that a killed clean left; whether one still runs is not known.

        A process number says too little to remove them: it may be of another machine, or be given again.
        """
        names = "|".join(re.escape(path.name) for path in self.rows)
        left = re.compile(rf"\.(?:{names})\.\d+\.tmp")
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return tuple(
            f"{path} holds rows of a clean that was killed, or still runs; if none does, remove the folder"
            for path in sorted(found)
            if left.fullmatch(path.name)
        )

    @contextmanager
    def written_aside(self) -> Iterator[Path]:
        """Yield a folder to write the files into; they take their places when the context is left without an error.

        Otherwise nothing is left of them, nor of the folders that were made for them.
        """
        missing = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            with new_files([*self.rows, self.rejected, self.report]) as aside:
                yield aside
        except BaseException:
            for folder in missing:
                with suppress(OSError):  # somebody else put something there
                    folder.rmdir()
            raise


def find_targets(files: Sequence[SourceFile], out: Path, *, splits: bool, overwrite: bool) -> Targets:
    """Return what is written for `out`.

    Raises:
        DataError: `out` is or holds or lies in what is read, exists, or is of no known kind.
    """
    inputs = [file.path.resolve() for file in files if file.path is not None]
    place = out.resolve()
    for path in inputs:
        same = path == place or (out.exists() and path.exists() and out.samefile(path))
        if same or path.is_relative_to(place):
            what = "the output is what is read" if same else f"the output folder holds what is read ({path.name})"
            raise DataError(what, where=str(out), remedy="Give another name: data are never changed in place.")
    if splits:
        if unpacked_suffix(out) in OUT_SUFFIXES:
            remedy = f"Name a folder, such as {out.with_suffix('')}."
            raise DataError("train and test rows do not go into one file", where=str(out), remedy=remedy)
        suffix = _suffix_of(files)
        rows: tuple[Path, ...] = (out / f"train{suffix}", out / f"test{suffix}")
    else:
        check_suffix(out)
        rows = (out,)
    rejected, report = companion_files(out, splits=splits)
    targets = Targets(rows=rows, rejected=rejected, report=report)
    other = "" if splits else _other_output(out, report)
    if other:
        raise DataError(
            f"{rejected.name} and {report.name}, which would lie next to it, are those of {other}",
            where=str(out),
            expected="outputs of one name in folders of their own",
            remedy=f"Give another name or another folder, or remove {other}.",
        )
    for path in (*targets.rows, targets.rejected, targets.report):
        if path.resolve() in inputs or (path.exists() and any(path.samefile(each) for each in inputs)):
            raise DataError("this would be written over, and it is read", where=str(path), remedy="Give another name.")
        if path.exists() and not overwrite:
            raise DataError(
                "this exists already", where=str(path), remedy="Give another place, or --overwrite to replace it."
            )
    if splits and out.is_dir():
        split_files = [path for path in out.iterdir() if _SPLIT_FILE.fullmatch(path.name)]
        wrong = [path.name for path in split_files if path not in targets.rows]
        if wrong:
            remedy = "Two training files or two test files would lie there. Give another folder, or remove it."
            raise DataError(f"the folder holds {', '.join(sorted(wrong))}", where=str(out), remedy=remedy)
    return targets


def companion_files(out: Path, *, splits: bool) -> tuple[Path, Path]:
    """Return the files of rejected rows and of counts: in the folder `out`, or next to ``clean.jsonl.gz`` as
    ``clean.rejected.jsonl`` and ``clean.report.json``.
    """
    if splits:
        return out / REJECTED, out / REPORT
    name = re.sub(rf"{re.escape(unpacked_suffix(out))}(?:\.\w+)?$", "", out.name, flags=re.IGNORECASE)
    return out.with_name(f"{name}.{REJECTED}"), out.with_name(f"{name}.{REPORT}")


def _other_output(out: Path, report: Path) -> str:
    """Return the output next to `out` that a report is of; nothing if there is none, or the report does not say."""
    try:
        found = json.loads(read_small_file(report, max_bytes=_MOST_REPORT_BYTES))
    except (OSError, ValueError, RecursionError):
        return ""
    names = found.get(WRITTEN) if isinstance(found, dict) else None
    paths = [out.with_name(name) for name in names if _is_name(name)] if isinstance(names, list) else []
    others = (
        path for path in paths if path != out and companion_files(path, splits=False)[1] == report and path.exists()
    )
    return next((path.name for path in others), "")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value not in ("", ".", "..") and not set(value) & {"/", "\\", "\0"}


def _suffix_of(files: Sequence[SourceFile]) -> str:
    suffix = "" if files[0].path is None else unpacked_suffix(files[0].path)
    return suffix if suffix in OUT_SUFFIXES else ".jsonl"
