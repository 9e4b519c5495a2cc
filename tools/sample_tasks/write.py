"""Write the rows of the sample tasks again from their seed: `make sample-tasks`.

The recipes next to the rows are written by hand.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from sample_tasks.descriptions import draw_description_sample
from sample_tasks.rows import Make, split_rows
from sample_tasks.sessions import TOOL_CATALOGUE, draw_session_sample
from sample_tasks.simple_support import draw_support_sample
from sample_tasks.taxonomy import draw_taxonomy_sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How a task is drawn and laid out on disk."""

    make: Make
    suffix: str
    train_rows: int
    test_rows: int
    tools: tuple[dict[str, Any], ...] = ()


TASKS: dict[str, Task] = {
    "taxonomy": Task(make=draw_taxonomy_sample, suffix="jsonl", train_rows=3000, test_rows=200),
    "product-description": Task(make=draw_description_sample, suffix="csv", train_rows=2400, test_rows=200),
    "simple-support": Task(make=draw_support_sample, suffix="json", train_rows=2400, test_rows=200),
    "agent-sessions": Task(
        make=draw_session_sample, suffix="jsonl", train_rows=1500, test_rows=150, tools=TOOL_CATALOGUE
    ),
}


def main() -> None:
    """Parse the command line and write the files of every task below the folder it names."""
    parser = argparse.ArgumentParser(description="Write the rows of the sample tasks again from their seed.")
    parser.add_argument("--out", type=Path, required=True, help="folder with a folder per task")
    out = parser.parse_args().out
    for name, task in TASKS.items():
        for file, text in task_files(name, task).items():
            packed = file.startswith("train")  # nine tenths of the bytes
            data = gzip.compress(text.encode(), mtime=0) if packed else text.encode()
            (out / name).mkdir(parents=True, exist_ok=True)
            (out / name / (f"{file}.gz" if packed else file)).write_bytes(data)


def task_files(name: str, task: Task, *, seed: int = 42) -> dict[str, str]:
    """Return file name -> text of a task: train and test rows, and the tools where it has some.

    Raises:
        DataError: the world does not hold so many different rows.
    """
    train, test = split_rows(task.make, Random(f"{name} {seed}"), train_rows=task.train_rows, test_rows=task.test_rows)
    text_of = _csv_text if task.suffix == "csv" else _json_lines_text
    files = {f"train.{task.suffix}": text_of(train), f"test.{task.suffix}": text_of(test)}
    return files | ({"tool_catalogue.json": json.dumps(task.tools, indent=2) + "\n"} if task.tools else {})


def _json_lines_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as one JSON object per line, accents kept."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a table with a header, by the columns of the first row."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
