"""Small files of rows for the tests of the flows."""

import json
from collections.abc import Iterable
from pathlib import Path


def row(prompt: str, answer: str = "Of course.") -> dict[str, object]:
    return {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]}


def rows(count: int, *, word: str = "row") -> list[dict[str, object]]:
    return [row(f"{word} {number}: is the lamp in stock?") for number in range(count)]


def write_rows(file: Path, lines: Iterable[dict[str, object] | str]) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return file


def write_recipe(folder: Path, text: str) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    return file
