"""Time and memory stay in bounds: what grows is read in proportion, what would burst is refused by its limit."""

import gzip
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard

from tunelab.cli.main import run
from tunelab.conversations import ConversationConfig, read_conversations
from tunelab.conversations.tools import read_catalog
from tunelab.errors import DataError, RecipeError, UserError
from tunelab.recipes import resolve_recipe
from tunelab.sources import SourceFile, read_rows, text_stream


def rows_of(path: Path, bad: list[DataError] | None = None) -> int:
    """Return how many rows a file has; bad ones are collected."""
    return sum(
        1 for _ in read_rows([SourceFile(name=path.name, path=path)], on_bad=([] if bad is None else bad).append)
    )


GROWING: dict[str, tuple[str, Callable[[int], bytes]]] = {
    "blank lines behind an open object": ("t.json", lambda n: b"{," + b"\n" * n + b"{"),
    "one long element": ("t.json", lambda n: b'[{"a": "' + b"x" * 100 * n + b'"}]'),
    "many elements": ("t.json", lambda n: b"[" + b",".join([b'{"a": 1}'] * (n // 10)) + b"]"),
    "quotes reopened on every line": ("t.csv", lambda n: b"a,b,c\n" + b'x",y,"\n' * n),
    "lone carriage returns": ("t.csv", lambda n: b"a,b\n" + b"1,2\r" * n),
    "many columns": ("t.csv", lambda n: b",".join(b"%d" % i for i in range(n // 10)) + b"\n1\n2\n"),
    "blank lines": ("t.txt", lambda n: b"a\n" + b" \n" * n),
}


@pytest.mark.parametrize("kind", GROWING)
def test_twice_the_input_takes_about_twice_the_time(kind: str, tmp_path: Path) -> None:
    name, make = GROWING[kind]

    def seconds(size: int) -> float:
        (tmp_path / name).write_bytes(make(size))
        begun = time.process_time()
        with suppress(DataError):
            rows_of(tmp_path / name)
        return time.process_time() - begun

    small, large = (min(seconds(size) for _ in range(2)) for size in (8_000, 32_000))
    assert large < 0.3 or large < 9 * small, "four times the input: sixteen times the time would be quadratic"


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_a_file_that_unpacks_to_absurdly_more_is_refused_with_the_limit(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_stream, "ANY_UNPACKED_BYTES", 2**20)
    lines = b'{"text": "a"}\n' * 400_000
    path = tmp_path / f"t.jsonl.{kind}"
    path.write_bytes(gzip.compress(lines) if kind == "gz" else zstandard.compress(lines))
    bad: list[DataError] = []
    with pytest.raises(DataError, match=rf"^t\.jsonl\.{kind}: it unpacks to more than 1 MiB and 200 times its size"):
        rows_of(path, bad)
    assert bad == []


def test_a_table_with_a_million_columns_is_refused_with_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b",".join(b"%d" % i for i in range(10**6)) + b"\n1\n")
    with pytest.raises(DataError, match=r"^t\.csv:1: the table has 1,000,000 columns; expected at most 10,000"):
        rows_of(path)


@pytest.mark.parametrize(
    "row", ['{"a": ' + "[" * 101 + "]" * 101 + "}", '{"a": "[", "b": ' + '{"c":' * 1000 + "1" + "}" * 1001]
)
def test_deep_nesting_is_refused_with_the_limit(row: str, tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(f"{row}\n" + '{"a": ' + "[" * 99 + "]" * 99 + "}\n")
    bad: list[DataError] = []
    assert rows_of(path, bad) == 1
    assert [str(error) for error in bad] == [
        "t.jsonl:1: the JSON is nested too deep; expected at most 100 brackets inside brackets."
    ]


@pytest.mark.parametrize("number", ["1" * 10**6, "1e999999", "-1e400", "NaN", "Infinity"])
def test_numbers_that_are_none_are_bad_rows(number: str, tmp_path: Path) -> None:
    path, bad = tmp_path / "t.jsonl", list[DataError]()
    path.write_text(f'{{"a": {number}}}\n{{"a": 1}}\n')
    assert rows_of(path, bad) == 1
    assert len(bad) == 1
    assert len(str(bad[0])) < 200


def test_pain_13_a_value_of_megabytes_makes_no_message_of_megabytes(tmp_path: Path) -> None:
    path, bad = tmp_path / "t.jsonl", list[DataError]()
    path.write_text('{"messages": [{"role": "' + "x" * 3_000_000 + '", "content": "a"}]}\n')
    rows = read_rows([SourceFile(name="t.jsonl", path=path)])
    read_conversations(rows, ConversationConfig(), base=tmp_path, on_bad=bad.append)
    assert str(bad[0]).startswith('t.jsonl:1: message 1 has role "xxx')
    assert len(str(bad[0])) < 2_000


def not_regular(folder: Path) -> list[Path]:
    """Return a pipe that nobody writes, and an endless device."""
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "endless.jsonl").symlink_to("/dev/zero")
    return [folder / "pipe.jsonl", folder / "endless.jsonl"]


def test_a_pipe_or_a_device_is_refused_at_once_wherever_a_file_is_named(tmp_path: Path) -> None:
    for path in not_regular(tmp_path):
        with pytest.raises(DataError, match="a pipe or a device, not a file"):
            rows_of(path)
        with pytest.raises(DataError, match="a pipe or a device, not a file"):
            read_catalog(path)
        with pytest.raises(RecipeError, match="a pipe or a device"):
            resolve_recipe(path, environment={})


def test_a_link_to_itself_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "loop.jsonl").symlink_to("loop.jsonl")
    (tmp_path / "folder.csv").mkdir()
    for name, words in (("loop.jsonl", "symbolic links"), ("folder.csv", "a folder, not a file")):
        with pytest.raises(DataError, match=words):
            rows_of(tmp_path / name)


@pytest.mark.parametrize("name", ["~nobody-of-that-name/x", "x" * 5000, "a**b", "\udcff.jsonl", "a\nb.jsonl"])
@pytest.mark.parametrize("setting", ["data.train_files", "data.data_dir", "model.base_model", "data.tool_catalog"])
def test_a_name_that_can_be_none_is_one_message(name: str, setting: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "t.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    code = run(
        ["check", str(tmp_path / "t.jsonl"), "--set", f"{setting}={json.dumps([name] if 'files' in setting else name)}"]
    )
    assert code in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["with space.jsonl", "line\nbreak.jsonl", "é😀.jsonl", "byte\udcff.jsonl", "[a].jsonl", "-.jsonl"]
)
def test_a_file_of_any_name_is_checked(name: str, tmp_path: Path, capsys) -> None:
    (tmp_path / name).write_text('{"prompt": "a", "completion": "b"}\n' * 12 + "{\n")
    assert run(["check", str(tmp_path / name), "--show", "1"]) == 1
    out = capsys.readouterr().out
    assert "12 of the first 12 rows" in out
    assert ":13: broken JSON" in out


def test_half_a_gigabyte_on_one_line_is_refused_in_less_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with path.open("wb") as file:
        file.write(b'{"a": "')
        file.seek(2**29)  # a hole: the file takes no room
        file.write(b'"}\n{"a": 1}\n')
    program = (
        "import resource, sys; from pathlib import Path; from tunelab.sources import SourceFile, read_rows\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29)); bad = []\n"
        "from tunelab.sources import json_rows, text_stream\n"
        "rows = text_stream.read_lines(Path(sys.argv[1]), 't.jsonl', bad.append)\n"
        "print([number for number, _ in rows], *bad)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[2] t.jsonl:1: this line is longer than 64 MiB; expected shorter rows.\n"


def test_a_text_that_all_rows_of_a_parquet_file_share_is_held_a_few_times_only(tmp_path: Path) -> None:
    import polars as pl

    path = tmp_path / "t.parquet"
    pl.DataFrame({"text": ["x" * 2**21]}).select(pl.col("text").repeat_by(300).explode()).write_parquet(path)
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    assert rows_of(path) == 300
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * 2**20, "300 rows of 2 MiB are 600 MiB"


def test_a_chain_of_merges_is_refused_before_any_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    chain = "".join(f"m{i}: &k{i} {{<<: *k{i - 1}, a{i}: 1}}\n" for i in range(1, 800))
    path.write_text(f"data: &k0 {{z: 1}}\n{chain}")
    with pytest.raises(RecipeError, match=r":2: merges \(<<\) are not read; expected each setting written out"):
        resolve_recipe(path, environment={})


def test_a_file_with_letters_beyond_the_first_plane_is_found_by_its_name(tmp_path: Path) -> None:
    written = '["\\ud83d\\ude00.jsonl"]'  # as JSON writes it
    recipe = resolve_recipe(None, overrides=[f"data.train_files={written}"], environment={}).recipe
    assert recipe.data.train_files == ("😀.jsonl",)
    with pytest.raises(UserError, match="without its other half"):
        resolve_recipe(None, overrides=['data.train_files=["\\ud83d"]'], environment={})
