"""The four sample tasks, one per shape of data: what they are called, and their files on disk."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tunelab.errors import DataError, did_you_mean
from tunelab.files import write_file

_TASKS_FOLDER = Path(__file__).parent / "tasks"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTask:
    """A task that the embedded model does not know and can learn in about a minute."""

    name: str  # such as "taxonomy"
    title: str  # such as "Detector findings to a taxonomy"
    summary: str  # a sentence on what goes in and what comes out


SAMPLE_TASKS: Mapping[str, SampleTask] = MappingProxyType(
    {
        name: SampleTask(name=name, title=title, summary=summary)
        for name, title, summary in (
            (
                "taxonomy",
                "Detector findings to a taxonomy",
                "A detector's output goes in; category, subcategory and confidence come out as JSON.",
            ),
            (
                "product-description",
                "Product titles to descriptions",
                "A Portuguese product title goes in; a description in the shop's house style comes out.",
            ),
            (
                "simple-support",
                "Support answers in simple words",
                "A customer's question goes in; an answer in three short steps comes out.",
            ),
            (
                "agent-sessions",
                "An order desk with tools",
                "A logged session goes in up to one model call; the tool call or the closing answer comes out.",
            ),
        )
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTaskFiles:
    """Where the files of a sample task were written."""

    folder: Path
    recipe: Path
    num_train_rows: int
    num_test_rows: int


def write_sample_task(name: str, folder: Path) -> SampleTaskFiles:
    """Write a task's rows, its recipe.yaml and its tools if it has some into `folder`; return what was written where.

    Raises:
        DataError: no task has that name.
    """
    if name not in SAMPLE_TASKS:
        raise DataError(f'no sample task is called "{name}"', remedy=did_you_mean(name, SAMPLE_TASKS))
    num_rows = {}
    for path in sorted((_TASKS_FOLDER / name).iterdir(), reverse=True):  # the recipe last
        packed = path.suffix == ".gz"
        data = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
        target = folder / (path.stem if packed else path.name)
        write_file(target, data)
        num_rows[target.stem] = data.count(b"\n") - (target.suffix == ".csv")
    return SampleTaskFiles(
        folder=folder,
        recipe=folder / "recipe.yaml",
        num_train_rows=num_rows["train"],
        num_test_rows=num_rows["test"],
    )
