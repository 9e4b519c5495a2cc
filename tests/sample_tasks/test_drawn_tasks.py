"""The rows of the sample tasks are drawn from a seed, and the starter holds what was drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from sample_tasks.rows import Sample, split_rows
from sample_tasks.write import TASKS, task_files
from tunelab.errors import DataError
from tunelab.starter import SAMPLE_TASKS, write_sample_task


def drawn(name: str, *, train_rows: int, test_rows: int, seed: int = 42) -> tuple[str, str]:
    """Return the texts of the train and test file of a small task."""
    files = task_files(name, replace(TASKS[name], train_rows=train_rows, test_rows=test_rows), seed=seed)
    suffix = TASKS[name].suffix
    return files[f"train.{suffix}"], files[f"test.{suffix}"]


@pytest.mark.parametrize("name", TASKS)
def test_the_starter_writes_exactly_what_is_drawn(name: str, tmp_path: Path) -> None:
    assert set(TASKS) == set(SAMPLE_TASKS)
    write_sample_task(name, tmp_path)
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert written.pop("recipe.yaml")
    assert written == task_files(name, TASKS[name])


@pytest.mark.parametrize("name", TASKS)
def test_the_same_seed_draws_the_same_rows_and_another_seed_others(name: str) -> None:
    first, again, other = (drawn(name, train_rows=40, test_rows=10, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first[0] != other[0]


@pytest.mark.parametrize("name", TASKS)
def test_more_train_rows_leave_the_test_rows_as_they_are(name: str) -> None:
    assert drawn(name, train_rows=10, test_rows=20)[1] == drawn(name, train_rows=200, test_rows=20)[1]


def test_asking_for_more_rows_than_the_world_holds_is_refused() -> None:
    with pytest.raises(DataError, match="holds only about 3 different rows"):
        split_rows(
            lambda chance: Sample(rows=({"n": (n := chance.randrange(3))},), facts=frozenset({str(n)})),
            Random(1), train_rows=4, test_rows=0,
        )  # fmt: skip
