"""One name, one thing: in the whole package a class or a file says by its name alone which one it is."""

import ast
from collections import defaultdict
from pathlib import Path

import tunelab
from tunelab.cli.main import VERBS

SOURCE = Path(tunelab.__file__).parent
FILES = [file for file in sorted(SOURCE.rglob("*.py")) if file.name not in ("__init__.py", "__main__.py")]


def test_no_class_name_stands_for_two_classes() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{file.relative_to(SOURCE)}:{node.lineno}")
    assert len(places) > 100
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_file_name_stands_for_two_things() -> None:
    """Each room has a config, a verb has its files, and those of a `rules` folder are named for what they look at."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for file in FILES:
        if file.stem not in ("config", *VERBS) and file.parent.name != "rules":
            places[file.stem].append(str(file.relative_to(SOURCE)))
    assert len(places) > 100
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_every_room_says_what_it_is() -> None:
    rooms = {file.parent for file in SOURCE.rglob("*.py")}
    docs = {
        room.name: ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) for room in rooms
    }
    assert len(docs) > 20
    assert [name for name, doc in docs.items() if not doc] == []
