"""The four sample tasks, one per shape of data: what they are called, and their files on disk."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tunelab.errors import DataError, did_you_mean, listed
from tunelab.files import write_file

EMBEDDED = "nano"

_TASKS_FOLDER = Path(__file__).parent / "tasks"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTask:
    """A task that the base model does not know and can learn in minutes."""

    name: str  # such as "taxonomy"
    title: str  # such as "Detector findings to a taxonomy"
    summary: str  # a sentence on what goes in and what comes out

    @property
    def models(self) -> tuple[str, ...]:
        """Base models that it has a recipe for; nano, the embedded one, comes first."""
        files = sorted((_TASKS_FOLDER / self.name).glob("*.yaml"))
        return (EMBEDDED, *(file.stem for file in files if file.stem != "recipe"))


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


def write_sample_task(name: str, folder: Path, *, model: str = EMBEDDED) -> SampleTaskFiles:
    """Write a task's rows, its recipe.yaml and its tools if it has some into `folder`; return what was written where.

    Args:
        model: the base model that the recipe names.

    Raises:
        DataError: no task has that name, or it has no recipe for that model.
    """
    if name not in SAMPLE_TASKS:
        raise DataError(f'no sample task is called "{name}"', remedy=did_you_mean(name, SAMPLE_TASKS))
    if model not in SAMPLE_TASKS[name].models:
        fitting = [task for task, sample in SAMPLE_TASKS.items() if model in sample.models]
        remedy = f"Tasks for {model}: {listed(fitting)}." if fitting else did_you_mean(model, SAMPLE_TASKS[name].models)
        raise DataError(f"the sample task {name} has no recipe for {model}", remedy=remedy)
    num_rows = {}
    for path in _TASKS_FOLDER.joinpath(name).iterdir():
        if path.suffix == ".yaml":
            continue
        packed = path.suffix == ".gz"
        data = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
        target = folder / (path.stem if packed else path.name)
        write_file(target, data)
        num_rows[target.stem] = data.count(b"\n") - (target.suffix == ".csv")
    recipe = _TASKS_FOLDER / name / f"{'recipe' if model == EMBEDDED else model}.yaml"
    write_file(folder / "recipe.yaml", recipe.read_bytes())  # last: the data that it names are there
    return SampleTaskFiles(
        folder=folder,
        recipe=folder / "recipe.yaml",
        num_train_rows=num_rows["train"],
        num_test_rows=num_rows["test"],
    )
