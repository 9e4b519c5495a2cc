"""The page on architecture names thirty tasks, files that exist, and lists that stand where it says."""

import importlib
import re
from pathlib import Path

import tunelab

SOURCE = Path(tunelab.__file__).parent
PAGE = (Path(__file__).parents[2] / "docs" / "dev" / "architecture.md").read_text(encoding="utf-8")


def test_each_of_thirty_tasks_has_a_file_that_exists() -> None:
    tasks = re.findall(r"^\| .+ \| `([a-z_/]+\.py)` \|$", PAGE.partition("## Thirty tasks")[2], re.MULTILINE)
    assert len(tasks) == len(set(tasks)) == 30
    assert [file for file in tasks if not (SOURCE / file).is_file()] == []


def test_each_list_stands_in_the_file_that_the_page_names() -> None:
    lists = re.findall(r"^\| `([A-Z]+)` \| .+ \| `([a-z_/]+)\.py` \|$", PAGE, re.MULTILINE)
    assert len(lists) == 8
    for name, file in lists:
        module = importlib.import_module(f"tunelab.{file.removesuffix('/__init__').replace('/', '.')}")
        assert len(getattr(module, name)) > 1
