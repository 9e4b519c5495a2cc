"""From the names in a recipe to files: globs, folders, and data sets of the Hub."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from tunelab.errors import DataError, guess_file, listed
from tunelab.sources.config import SourceConfig
from tunelab.sources.hub import locate_splits, looks_like_hub
from tunelab.sources.saved_dataset import refuse_missing_parts
from tunelab.sources.source_files import DataFiles, SourceFile
from tunelab.sources.text_stream import unpacked_suffix

DATA_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".txt")
_TRAIN_NAME = re.compile(r"(?:train|trn)(?![a-z])", re.IGNORECASE)
_EVAL_NAMES = tuple(
    re.compile(rf"(?:{name})(?![a-z])", re.IGNORECASE)
    for name in ("validation", "valid", "val", "eval", "dev", "test|tst")
)
_NO_ROWS = re.compile(
    r"\.|tool_?catalog|(dataset_infos?|dataset_dict|state|package|tsconfig)\.json$|cache-.+\.arrow$"
    r"|(.+\.)?(report\.json|rejected\.jsonl)$",
    re.IGNORECASE,
)


def locate_data(config: SourceConfig, *, base: Path) -> DataFiles:
    """Return the files that a recipe's names refer to, each once and in order.

    A folder with ``train.*`` and ``test.*`` (or eval, validation, valid) inside gives both; its held-out files
    count only if no `eval_files` are named. Any other folder gives all its files of rows.

    Args:
        base: the recipe's folder, from which `data_dir` starts.

    Raises:
        DataError: nothing has that name, or matches a pattern.
    """
    folder = base / os.path.expanduser(config.data_dir)
    names = config.train_files or ((".",) if config.data_dir != "." else ())
    if not names:
        raise DataError(
            "no training file is named", where="data.train_files", remedy="Name a file, a glob or a folder."
        )
    if not os.path.isdir(folder) and not all(os.path.isabs(name) or looks_like_hub(name) for name in names):
        raise _no_folder(folder)
    found = [_found(name, folder, held_out=False) for name in names]
    train, held_out = _joined(each.files for each in found), _joined(each.held_out for each in found)
    notes = [note for each in found for note in each.notes]
    if config.eval_files:
        named = [_found(name, folder, held_out=True) for name in config.eval_files]
        held_out = _joined(each.files for each in named)
        notes += [note for each in named for note in each.notes]
    if both := [file.name for file in train if file in held_out]:
        train = tuple(file for file in train if file not in held_out)
        notes.append(f"{', '.join(both)}: held out, and so left out of the training files")
    if not train:
        raise DataError(
            "every training file is held out too",
            where="data.train_files",
            expected="different files in data.eval_files",
        )
    ignored = tuple(f"{name}: ignored {each.left}" for name, each in zip(names, found, strict=True) if each.left)
    return DataFiles(train=train, eval=held_out, notes=tuple(notes), ignored=ignored)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    files: list[SourceFile]
    held_out: list[SourceFile] = field(default_factory=list)
    """The held-out files that came along with a training folder."""
    notes: list[str] = field(default_factory=list)
    left: str = ""
    """Names of files that hold no rows, or are none of train.* and test.*."""


def _found(name: str, folder: Path, *, held_out: bool) -> _Found:
    try:
        return _expand(name, folder, held_out=held_out)
    except (OSError, ValueError) as error:  # the latter for a NUL after a tilde
        what = f'"{name}" cannot be opened ({error})'
        raise DataError(what, where="data", remedy="See that you may read it and its folder.") from error


def _expand(name: str, folder: Path, *, held_out: bool) -> _Found:
    path = folder / os.path.expanduser(name)  # unlike Path's own, this and the next two are at ease with any name
    if os.path.isdir(path):
        return _in_folder(path, folder, held_out=held_out)
    if os.path.exists(path):
        return _Found(files=[_file(path, folder)])
    try:
        matches = _glob(path)
    except ValueError as error:
        raise DataError(f'"{name}" is no pattern', where="data", expected="** between two slashes") from error
    if files := [_file(match, folder) for match in matches if _holds_rows(match)]:
        for parent in dict.fromkeys(match.parent for match in matches):
            refuse_missing_parts(parent, _shown(parent, folder))
        left = listed(match.name for match in matches if not _holds_rows(match))
        return _Found(files=files, notes=[f"{name}: ignored {left}"] if left else [], left=left)
    is_local = unpacked_suffix(Path(name)) in DATA_SUFFIXES or ("/" in name and os.path.isdir(path.parent))
    if looks_like_hub(name) and not is_local and not _near_folder(name, folder):
        train, others = locate_splits(name)
        return _Found(files=others or train) if held_out else _Found(files=train, held_out=others)
    raise _nothing(path, name)


def _near_folder(name: str, folder: Path) -> str:
    """Return the folder here that ``dat/tran`` may be a slip of; empty if its first part is like none."""
    folders = [entry.name for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
    return next(iter(get_close_matches(name.partition("/")[0], folders, n=1, cutoff=0.7)), "") if "/" in name else ""


def _glob(path: Path) -> list[Path]:
    pattern = path.relative_to(path.anchor).as_posix()
    if not re.search(r"[*?\[]", pattern):
        return []
    return sorted(
        match for match in Path(path.anchor or ".").glob(pattern) if match.is_file() and not match.name.startswith(".")
    )


def _in_folder(path: Path, folder: Path, *, held_out: bool) -> _Found:
    refuse_missing_parts(path, _shown(path, folder))
    entries = sorted(entry for entry in path.iterdir() if entry.is_dir() or _holds_rows(entry))
    train = [entry for entry in entries if _TRAIN_NAME.match(entry.name)]
    by_name = ([entry for entry in entries if name.match(entry.name)] for name in _EVAL_NAMES)
    test = next((some for some in by_name if some), [])
    if not (train and test):
        train, test = [entry for entry in entries if not entry.is_dir()] or train, []
    taken = {*train, *test}
    others_there = (entry.name for entry in sorted(path.iterdir()) if entry not in taken)
    left = listed(name for name in others_there if not name.startswith("."))
    for entry in (each for each in taken if each.is_dir()):
        refuse_missing_parts(entry, _shown(entry, folder))
    files, others = ([_file(each, folder) for entry in some for each in _flat(entry)] for some in (train, test))
    if not files:
        raise _nothing(path, str(path))
    note = f"{_shown(path, folder)}/: {listed(file.name for file in files)} to train on"
    note += f", {listed(file.name for file in others)} held out" if others else ""
    note += f"; ignored: {left}" if left else ""
    if held_out and others:
        return _Found(files=others, notes=[note], left=left)
    return _Found(files=files, held_out=others, notes=[note], left=left)


def _flat(entry: Path) -> list[Path]:
    return sorted(filter(_holds_rows, entry.iterdir())) if entry.is_dir() else [entry]


def _holds_rows(path: Path) -> bool:
    return path.is_file() and unpacked_suffix(path) in DATA_SUFFIXES and not _NO_ROWS.match(path.name)


def _no_folder(folder: Path) -> DataError:
    parent = folder.parent
    there = [entry.name for entry in parent.iterdir() if entry.is_dir()] if os.path.isdir(parent) else []
    return DataError(
        f'there is no folder "{folder}"',
        where="data.data_dir",
        expected="the folder that names of files start from",
        remedy=guess_file(folder.name, there),
    )


def _nothing(path: Path, name: str) -> DataError:
    parent, missing = (path, path) if os.path.isdir(path) else (path.parent, path)
    while not os.path.isdir(parent):
        parent, missing = parent.parent, parent
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    inside = f"{parent.name or parent}/ holds {listed(names)}" if names else f"{parent.name or parent}/ is empty"
    what = (
        "the folder holds no file of rows" if parent == path else f'"{name}" is no file, no folder and matches nothing'
    )
    remedy = f"{inside}. {guess_file(missing.name, names)}".rstrip()
    expected = f"a file that ends in {', '.join(DATA_SUFFIXES)} (.gz and .zst of each)"
    return DataError(what, where="data", expected=expected, remedy=remedy)


def _file(path: Path, folder: Path) -> SourceFile:
    return SourceFile(name=_shown(path, folder), path=path)


def _shown(path: Path, folder: Path) -> str:
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    return path.name if shown == Path(".") else shown.as_posix()


def _joined(parts: Iterable[list[SourceFile]]) -> tuple[SourceFile, ...]:
    return tuple(dict.fromkeys(file for part in parts for file in part))
