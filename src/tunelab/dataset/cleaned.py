"""The rows of a recipe, cleaned on their read_plan into training, and what cleaning did to them in words."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from tokenizers import Tokenizer

from tunelab.cleaning.clean import clean_rows
from tunelab.cleaning.clean_report import CleanReport
from tunelab.cleaning.output.writers import RejectedWriter
from tunelab.dataset.config import DataConfig
from tunelab.errors import counted
from tunelab.files import new_files
from tunelab.sources import Row, SourceConfig, SourceFile, locate_data


class Rejected:
    """Takes the rows that the rules of a recipe reject: counts them, and writes them where there is a file for them."""

    def __init__(self, path: Path | None = None, writer: RejectedWriter | None = None) -> None:
        self._path, self._writer, self._count = path, writer, 0

    def __call__(self, rejected: pl.DataFrame, shown: pl.Series) -> None:
        """Take some rows."""
        self._count += rejected.height
        if self._writer is not None:
            self._writer.write(rejected, shown)

    def in_words(self) -> list[str]:
        """Return where they are, or how to get them."""
        if not self._count:
            return []
        if self._path is None:
            return ["tunelab clean, with the same rules, keeps each rejected row with its reason"]
        return [f"each rejected row is kept with its reason in {self._path}"]


@contextmanager
def rejected_rows(path: Path | None) -> Iterator[Rejected]:
    """Yield what takes rejected rows; the file, if any, is there and whole once all went well."""
    if path is None:
        yield Rejected()
        return
    with new_files([path]) as aside, RejectedWriter(aside / path.name) as writer:
        yield Rejected(path, writer)


def clean_for(
    rows: Iterable[Row],
    data: DataConfig,
    *,
    base: Path,
    draws: bool,
    rejected: Rejected,
    tokenizer: Tokenizer | None = None,
) -> tuple[list[Row], CleanReport]:
    """Return the rows of a recipe that are kept, with what was done.

    Args:
        base: the recipe's folder.
        draws: False where no samples are drawn and nothing is compared with `exclude_files`.
        rejected: takes the others.
        tokenizer: that of the base model.
    """
    config = data.cleaning
    names = config.exclude_files if draws else ()
    excluded = files_named(names, base=base / Path(data.data_dir).expanduser()) if names else ()
    if not draws:
        config = config.model_copy(update={"max_samples": None, "max_per_class": None, "near_overlap": None})
    return clean_rows(
        rows, config, conversation=data, excluded=excluded, draws=draws, reject=rejected, tokenizer=tokenizer
    )


def in_words(report: CleanReport) -> list[str]:
    """Return what cleaning did: what it compared with, and a line per rule with its first example."""
    return [f"cleaning {report.compared}"] * bool(report.compared) + [
        f"cleaning {verb} {counted(each.count, 'row')} ({each.rule}; the first: {each.examples[0]})"
        for verb, counts in (
            ("changed", report.changed),
            ("rejected", report.rejected),
            ("did not sample", report.not_sampled),
            ("found and left something in", report.reported),
            ("found no label in", report.unlabelled),
        )
        for each in counts
    ]


def files_named(names: Sequence[str], *, base: Path) -> tuple[SourceFile, ...]:
    """Return all files that some names lead to, both sides of a folder with two."""
    found = locate_data(SourceConfig(data_dir=".", train_files=tuple(names)), base=base)
    return (*found.train, *found.eval)
