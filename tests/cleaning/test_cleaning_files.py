"""Files in, files out: nothing is lost, nothing is changed in place, nothing is half."""

import csv
import json
import random
import re
import threading
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleaned_files import chat, clean, counts, kept, rejected, write_rows
from tunelab.cleaning.clean import clean_files
from tunelab.cleaning.config import CleaningConfig
from tunelab.errors import DataError
from tunelab.events import AnyEvent, EventLog, Progress
from tunelab.sources import SourceConfig, SourceFile, locate_data, read_rows

TEXTS = st.none() | st.sampled_from(["", "  ", "short", "a title that is long", 'he said: "a": "b"', "zwei\nZeilen"])
ROWS = st.lists(st.fixed_dictionaries({"title": TEXTS, "content": TEXTS}), min_size=1, max_size=30)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def expected_rows(rows: list[dict[str, str | None]], *, null: tuple[object, ...]) -> list[dict[str, str | None]]:
    """Return what stands, by the words of the settings: no null, title of 6 and more characters, each row once."""
    stand = []
    for row in rows:
        fine = all(value not in null for value in row.values()) and len(row["title"] or "") >= 6
        if fine and row not in stand:
            stand.append(row)
    return stand


@FEW
@given(rows=ROWS)
def test_a_table_in_json_lines_keeps_what_the_rules_say_and_accounts_for_the_rest(tmp_path: Path, rows) -> None:
    report = clean(
        write_rows(tmp_path / "in.jsonl", rows), drop_nulls=True, min_chars={"title": 6}, drop_duplicates="row"
    )
    assert kept(tmp_path / "out.jsonl") == expected_rows(rows, null=(None,))
    assert report.num_read == len(rows)


@FEW
@given(rows=ROWS)
def test_a_table_in_csv_keeps_the_same_and_names_physical_lines(tmp_path: Path, rows) -> None:
    path = tmp_path / "in.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["title", "content"], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    read = {str(row.origin): row.value for row in read_rows([SourceFile(name="in.csv", path=path)])}
    clean(path, "out.csv", drop_nulls=True, min_chars={"title": 6}, drop_duplicates="row")
    as_text = [{name: value or "" for name, value in row.items()} for row in rows]
    stand = expected_rows(as_text, null=("",))
    assert (kept(tmp_path / "out.csv") if stand else []) == stand
    assert all(each["row"] == read[str(each["where"])] for each in rejected(tmp_path))


def test_rows_that_are_not_changed_keep_every_byte(tmp_path: Path) -> None:
    lines = [
        '{"messages": [{"role":"user","content":"caf\\u00e9 1e2"},{"role":"assistant","content":"yes"}], "n": 1.50}',
        '{"messages":[{"role":"user","content":"b"},{"role":"assistant","content":"<b>no</b>"}],"n":-0, "z": null}',
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    clean(path)
    assert (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines() == lines
    clean(path, strip_html=True)
    first, second = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert first == lines[0]
    assert json.loads(second)["messages"][1]["content"] == "no"
    assert list(json.loads(second)) == ["messages", "n", "z"]


def test_pain_13_a_null_title_is_a_rejection_with_its_place_and_no_crash(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "completion": "c"}, {"prompt": None, "completion": "c"}, {"prompt": "q", "completion": 7}]
    report = clean(write_rows(tmp_path / "in.jsonl", rows))
    assert counts(report) == {"no_conversation": 2}
    assert [(each["where"], each["reason"]) for each in rejected(tmp_path)] == [
        ("in.jsonl:2", "prompt is null; expected text"),
        ("in.jsonl:3", "completion is a number; expected text"),
    ]
    assert [each["row"] for each in rejected(tmp_path)] == rows[1:]


def test_lines_that_are_no_rows_are_kept_as_text_with_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    bad = ['{"title": "a"', '{"title": NaN, "content": "b"}', '{"title":"a","title":"b","content":"c"}', "[1]"]
    half = '{"title": "\\ud800", "content": "x"}'
    good = '{"title": "one", "content": "two"}'
    path.write_text("\n".join([good, *bad, "", half, good]) + "\n", encoding="utf-8")
    report = clean(path)
    assert counts(report) == {"unreadable": 5}
    assert [each["where"] for each in rejected(tmp_path)] == [f"in.jsonl:{line}" for line in (2, 3, 4, 5, 7)]
    assert [each["row"] for each in rejected(tmp_path)] == [*bad, half]
    assert report.num_kept == 2


def test_an_output_is_the_same_whatever_the_format_goes_through(tmp_path: Path) -> None:
    rows = [{"title": f"title {n}", "content": f'a "quoted", \n text {n % 7}'} for n in range(50)]
    path = write_rows(tmp_path / "in.jsonl", [*rows, rows[3]])
    for suffix in ("csv", "tsv", "parquet", "jsonl", "jsonl.gz", "csv.zst"):
        clean(path, f"out.{suffix}", drop_duplicates="row")
        assert kept(tmp_path / f"out.{suffix}") == rows
        clean(tmp_path / f"out.{suffix}", "again.jsonl", drop_duplicates="row")
        assert kept(tmp_path / "again.jsonl") == rows


def test_lists_have_no_place_in_a_csv_and_it_says_so(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [chat("q", "a")])
    with pytest.raises(DataError, match=r"messages.*\.jsonl"):
        clean(path, "out.csv")
    assert not (tmp_path / "out.csv").exists()
    assert not (tmp_path / "out.rejected.jsonl").exists()


def test_data_are_never_changed_in_place(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [chat("q", "a")])
    for out in ("in.jsonl", "./in.jsonl"):
        with pytest.raises(DataError, match="is what is read"):
            clean(path, out)
    (tmp_path / "link.jsonl").symlink_to(path)
    with pytest.raises(DataError, match="is what is read"):
        clean(path, "link.jsonl")
    with pytest.raises(DataError, match="holds what is read"):
        clean(path, ".", test_size=0.1)
    other = write_rows(tmp_path / "x.rejected.jsonl", [chat("q", "a")])
    with pytest.raises(DataError, match="written over"):
        clean(other, "x.jsonl")
    assert kept(path) == [chat("q", "a")]


def test_what_stands_there_is_replaced_only_where_that_is_asked_for(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [chat("q", "a")])
    files = [SourceFile(name="in.jsonl", path=path)]
    clean_files(files, tmp_path / "out.jsonl", CleaningConfig())
    with pytest.raises(DataError, match="exists already"):
        clean_files(files, tmp_path / "out.jsonl", CleaningConfig())
    (tmp_path / "out.report.json").rename(tmp_path / "other.report.json")
    with pytest.raises(DataError, match=r"other\.report\.json: this exists already"):
        clean_files(files, tmp_path / "other.jsonl", CleaningConfig())
    clean_files(files, tmp_path / "out.jsonl", CleaningConfig(), overwrite=True)


def test_two_outputs_in_one_folder_keep_what_each_rejected(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [chat("q", "a"), chat("other", "b"), chat("third", "c")])
    files = [SourceFile(name="in.jsonl", path=path)]
    for out, least in (("short.v1.jsonl.gz", 2), ("long.jsonl", 4)):
        clean_files(files, tmp_path / "outs" / out, CleaningConfig(min_chars={"user": least}))
    clean_files(files, tmp_path / "outs" / "sides", CleaningConfig(), test_size=0.4)
    assert sorted(each.relative_to(tmp_path / "outs").as_posix() for each in (tmp_path / "outs").rglob("*.*")) == [
        *("long.jsonl", "long.rejected.jsonl", "long.report.json"),
        *("short.v1.jsonl.gz", "short.v1.rejected.jsonl", "short.v1.report.json"),
        *("sides/rejected.jsonl", "sides/report.json", "sides/test.jsonl", "sides/train.jsonl"),
    ]
    found = locate_data(SourceConfig(data_dir="outs", train_files=(".",)), base=tmp_path)
    assert [file.name for file in found.train] == ["long.jsonl", "short.v1.jsonl.gz"]
    sides = locate_data(SourceConfig(data_dir="outs/sides"), base=tmp_path)
    assert [file.name for file in (*sides.train, *sides.eval)] == ["train.jsonl", "test.jsonl"]
    clean_files(files, tmp_path / "outs" / "train.jsonl", CleaningConfig())
    clean_files(files, tmp_path / "outs", CleaningConfig(), test_size=0.4, overwrite=True)


@pytest.mark.parametrize("test_size", [0.0, 0.5])
def test_an_interrupted_clean_leaves_nothing_and_spoils_nothing(tmp_path: Path, test_size: float) -> None:
    path = write_rows(tmp_path / "in.jsonl", [chat(f"q{n}", "a") for n in range(50)])
    out = "out" if test_size else "out.jsonl"
    clean(path, out, test_size=test_size)
    before = {each: each.read_bytes() for each in sorted(tmp_path.rglob("*")) if each.is_file()}

    class Interrupting(EventLog):
        def emit(self, event: AnyEvent) -> None:
            if isinstance(event, Progress):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clean_files(
            [SourceFile(name="in.jsonl", path=path)],
            tmp_path / out,
            CleaningConfig(max_samples=3),
            test_size=test_size,
            overwrite=True,
            events=Interrupting(None),
        )
    assert {each: each.read_bytes() for each in sorted(tmp_path.rglob("*")) if each.is_file()} == before
    assert [each for each in tmp_path.iterdir() if each.name.startswith(".")] == []
    assert "reading ahead" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("overwrite", [True, False])
def test_an_output_never_replaces_the_rejected_rows_of_another_of_its_name(tmp_path: Path, overwrite: bool) -> None:
    files = [SourceFile(name="in.csv", path=tmp_path / "in.csv")]
    (tmp_path / "in.csv").write_text("title,content\na,\nb,c\n")
    for out in ("c.csv", "c.csv"):  # its own are replaced
        clean_files(files, tmp_path / out, CleaningConfig(drop_nulls=True), overwrite=True)
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    told = "c.rejected.jsonl and c.report.json, which would lie next to it, are those of c.csv"
    for out in ("c.jsonl", "c.csv.gz"):
        with pytest.raises(DataError, match=re.escape(f"{out}: {told}")):
            clean_files(files, tmp_path / out, CleaningConfig(), overwrite=overwrite)
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before
    (tmp_path / "c.csv").unlink()
    clean_files(files, tmp_path / "c.jsonl", CleaningConfig(), overwrite=True)
    assert json.loads((tmp_path / "c.report.json").read_text())["written"] == ["c.jsonl"]


def test_what_stands_beside_an_output_and_is_no_report_is_replaced_as_before(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [chat("q", "a")])
    (tmp_path / "c.csv").write_text("x\n")
    for content in (
        "",
        "{",
        "[]",
        '{"written": 5}',
        '{"written": [5, {}, "", ".", "\\u0000", "../c.csv"]}',
        '{"num_read": 1}',
    ):
        (tmp_path / "c.report.json").write_text(content)
        clean_files([SourceFile(name=path.name, path=path)], tmp_path / "c.jsonl", CleaningConfig(), overwrite=True)
        assert json.loads((tmp_path / "c.report.json").read_text())["written"] == ["c.jsonl"], content
        assert kept(tmp_path / "c.jsonl") == [chat("q", "a")]
        assert (tmp_path / "c.csv").read_text() == "x\n"


def test_the_same_files_settings_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    chance = random.Random(5)
    rows = [chat(f"question {chance.randrange(300)}", f"answer {n}") for n in range(400)]
    path = write_rows(tmp_path / "in.jsonl", rows)
    how = {"drop_duplicates": "prompt", "max_samples": 60, "near_duplicates": 0.9}
    for out in ("one", "two", "three"):
        clean(path, out, test_size=0.2, **(how | ({"seed": 1} if out == "three" else {})))
    one, two, three = (
        {each.name: each.read_bytes() for each in (tmp_path / name).iterdir()} for name in ("one", "two", "three")
    )
    assert one == two
    assert one["train.jsonl"] != three["train.jsonl"]


def test_a_parquet_table_keeps_the_kinds_of_its_columns(tmp_path: Path) -> None:
    table = pl.DataFrame({"title": ["one title", None, "x"], "price": [1.5, 2.0, 3.0], "count": [1, 2, 3]})
    table.write_parquet(tmp_path / "in.parquet")
    report = clean(tmp_path / "in.parquet", "out.parquet", drop_nulls=True, min_chars={"title": 3})
    assert counts(report) == {"drop_nulls": 1, "min_chars": 1}
    assert pl.read_parquet(tmp_path / "out.parquet").equals(table[:1])
