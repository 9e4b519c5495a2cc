"""The four sample tasks, one per shape of data: what they are called, their recipes, and their files on disk."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

from tunelab.errors import DataError, did_you_mean
from tunelab.files import write_file
from tunelab.starter.descriptions import draw_description_sample
from tunelab.starter.recipes import (
    AGENT_SESSIONS_RECIPE,
    PRODUCT_DESCRIPTION_RECIPE,
    SIMPLE_SUPPORT_RECIPE,
    TAXONOMY_RECIPE,
)
from tunelab.starter.rows import Make, split_rows
from tunelab.starter.sessions import TOOL_CATALOGUE, draw_session_sample
from tunelab.starter.simple_support import draw_support_sample
from tunelab.starter.taxonomy import draw_taxonomy_sample

NANO_FOLDER: Path = Path(__file__).parent / "nano"
"""The folder of the embedded base model; `AutoTokenizer` and `AutoModelForCausalLM` read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTask:
    """A task that the embedded model does not know and can learn in about a minute."""

    name: str  # such as "taxonomy"
    title: str  # such as "Detector findings to a taxonomy"
    summary: str  # a sentence on what goes in and what comes out
    recipe: str  # text of recipe.yaml; its file names are relative to it


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTaskFiles:
    """Where the files of a sample task were written."""

    folder: Path
    recipe: Path
    train: Path
    test: Path
    tool_catalogue: Path | None  # only where the task has tools
    num_train_rows: int
    num_test_rows: int


def write_sample_task(
    name: str, folder: Path, *, train_rows: int | None = None, test_rows: int | None = None, seed: int = 42
) -> SampleTaskFiles:
    """Write a task's data and recipe.yaml into `folder` and return what was written where.

    The same name, numbers and seed give the same bytes. Without numbers the task's own are taken.

    Raises:
        DataError: no task has that name, or the world does not hold so many different rows.
    """
    if name not in _SHAPES:
        raise DataError(f'no sample task is called "{name}"', remedy=did_you_mean(name, _SHAPES))
    shape = _SHAPES[name]
    train, test = split_rows(
        shape.make,
        Random(f"{name} {seed}"),
        train_rows=shape.train_rows if train_rows is None else train_rows,
        test_rows=shape.test_rows if test_rows is None else test_rows,
    )
    files = SampleTaskFiles(
        folder=folder,
        recipe=folder / "recipe.yaml",
        train=folder / f"train.{shape.suffix}",
        test=folder / f"test.{shape.suffix}",
        tool_catalogue=folder / "tool_catalogue.json" if shape.tools else None,
        num_train_rows=len(train),
        num_test_rows=len(test),
    )
    write = csv_text if shape.suffix == "csv" else json_lines_text
    write_file(files.train, write(train))
    write_file(files.test, write(test))
    if files.tool_catalogue is not None:
        write_file(files.tool_catalogue, json.dumps(shape.tools, indent=2) + "\n")
    write_file(files.recipe, SAMPLE_TASKS[name].recipe)
    return files


def json_lines_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as one JSON object per line, accents kept."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a table with a header, by the columns of the first row."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """How a task is drawn and laid out on disk."""

    make: Make
    suffix: str
    train_rows: int
    test_rows: int
    tools: tuple[dict[str, Any], ...] = ()


_SHAPES: dict[str, _Shape] = {
    "taxonomy": _Shape(make=draw_taxonomy_sample, suffix="jsonl", train_rows=3000, test_rows=200),
    "product-description": _Shape(make=draw_description_sample, suffix="csv", train_rows=2400, test_rows=200),
    "simple-support": _Shape(make=draw_support_sample, suffix="json", train_rows=2400, test_rows=200),
    "agent-sessions": _Shape(
        make=draw_session_sample, suffix="jsonl", train_rows=1500, test_rows=150, tools=TOOL_CATALOGUE
    ),
}

SAMPLE_TASKS: Mapping[str, SampleTask] = MappingProxyType(
    {
        task.name: task
        for task in (
            SampleTask(
                name="taxonomy",
                title="Detector findings to a taxonomy",
                summary="A detector's output goes in; category, subcategory and confidence come out as JSON.",
                recipe=TAXONOMY_RECIPE,
            ),
            SampleTask(
                name="product-description",
                title="Product titles to descriptions",
                summary="A Portuguese product title goes in; a description in the shop's house style comes out.",
                recipe=PRODUCT_DESCRIPTION_RECIPE,
            ),
            SampleTask(
                name="simple-support",
                title="Support answers in simple words",
                summary="A customer's question goes in; an answer in three short steps comes out.",
                recipe=SIMPLE_SUPPORT_RECIPE,
            ),
            SampleTask(
                name="agent-sessions",
                title="An order desk with tools",
                summary="A logged session goes in up to one model call; the tool call or the closing answer comes out.",
                recipe=AGENT_SESSIONS_RECIPE,
            ),
        )
    }
)
