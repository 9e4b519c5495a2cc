"""From names to files, and the seeded sample."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunelab.errors import DataError, MissingExtraError
from tunelab.sources import DataFiles, SourceConfig, locate_data, read_rows, sample


@pytest.fixture
def home(tmp_path: Path) -> Path:
    files = [
        "both/train.json",
        "both/test.json",
        "both/README.md",
        "logs/a.jsonl",
        "logs/b.jsonl.gz",
        "logs/tool_catalogue.json",
    ]
    files += [
        "three/train.csv",
        "three/validation.csv",
        "three/test.csv",
        "parts/train-0.parquet",
        "parts/train-1.parquet",
        "parts/test-0.parquet",
    ]
    for name in [*files, "trained/trainer.jsonl", "trained/testimony.jsonl", "empty/README.md"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"a": 1}\n')
    return tmp_path


def names(found: DataFiles) -> tuple[list[str], list[str]]:
    return [file.name for file in found.train], [file.name for file in found.eval]


@pytest.mark.parametrize(
    ("train", "held_out", "expected"),
    [
        (["both"], [], (["both/train.json"], ["both/test.json"])),
        (["three"], [], (["three/train.csv"], ["three/validation.csv"])),
        (["parts"], [], (["parts/train-0.parquet", "parts/train-1.parquet"], ["parts/test-0.parquet"])),
        (["trained"], [], (["trained/testimony.jsonl", "trained/trainer.jsonl"], [])),
        (["logs"], [], (["logs/a.jsonl", "logs/b.jsonl.gz"], [])),
        (["logs/*"], [], (["logs/a.jsonl", "logs/b.jsonl.gz"], [])),
        (["logs/b*", "logs/*.jsonl", "logs/a.jsonl"], [], (["logs/b.jsonl.gz", "logs/a.jsonl"], [])),
        (["logs/*"], ["logs/a.jsonl"], (["logs/b.jsonl.gz"], ["logs/a.jsonl"])),
        (["logs/a.jsonl"], ["both"], (["logs/a.jsonl"], ["both/test.json"])),
        (["both"], ["logs/a.jsonl"], (["both/train.json"], ["logs/a.jsonl"])),
        (["**/a.jsonl"], [], (["logs/a.jsonl"], [])),
    ],
)
def test_names_globs_and_folders_stand_for_files_on_their_side(home, train, held_out, expected):
    assert names(locate_data(SourceConfig(train_files=train, eval_files=held_out), base=home)) == expected


def test_names_start_from_the_data_folder_which_starts_from_the_recipe(home):
    config = SourceConfig(data_dir="../both", train_files=("train.json",))
    assert names(locate_data(config, base=home / "logs")) == (["train.json"], [])
    assert names(locate_data(SourceConfig(data_dir="both"), base=home)) == (["train.json"], ["test.json"])
    absolute = SourceConfig(train_files=(str(home / "both/train.json"),))
    assert locate_data(absolute, base=home / "logs").train[0].path == home / "both/train.json"


def test_what_a_folder_holds_besides_is_said_aloud(home):
    (note,) = locate_data(SourceConfig(train_files=("both",)), base=home).notes
    assert note == "both/: both/train.json to train on, both/test.json held out; ignored: README.md"
    assert "tool_catalogue.json" in locate_data(SourceConfig(train_files=("logs/*",)), base=home).notes[0]


def test_a_file_named_on_both_sides_is_held_out_and_that_is_said(home):
    found = locate_data(SourceConfig(train_files=("logs/*",), eval_files=("logs/a.jsonl",)), base=home)
    assert any("logs/a.jsonl: held out" in note for note in found.notes)
    with pytest.raises(DataError, match="every training file is held out"):
        locate_data(SourceConfig(train_files=("logs/a.jsonl",), eval_files=("logs/a.jsonl",)), base=home)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "both/trian.json",
            ['"both/trian.json" is no file', "README.md, test.json, train.json", 'Did you mean "train.json"?'],
        ),
        ("logs/*.csv", ["matches nothing", "a.jsonl, b.jsonl.gz"]),
        ("empty", ["holds no file of rows", "README.md"]),
        ("nowhere/at/all.json", ["both, empty, logs"]),
    ],
)
def test_pain_13_a_name_that_stands_for_nothing_shows_what_is_there(home, name, words):
    with pytest.raises(DataError) as caught:
        locate_data(SourceConfig(train_files=(name,)), base=home)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_no_name_at_all_is_refused(home):
    with pytest.raises(DataError, match="no training file is named"):
        locate_data(SourceConfig(), base=home)


def unreachable(*_: object, **__: object) -> None:
    raise ConnectionError("no route")


def test_a_data_set_of_the_hub_is_read_split_by_split(home, monkeypatch):
    splits = {"train": [{"q": 1}, {"q": 2}], "test": [{"q": 3}]}
    fake = SimpleNamespace(
        get_dataset_split_names=lambda name: list(splits), load_dataset=lambda name, split: splits[split]
    )
    monkeypatch.setitem(sys.modules, "datasets", fake)
    found = locate_data(SourceConfig(train_files=("owner/name",)), base=home)
    assert names(found) == (["owner/name[train]"], ["owner/name[test]"])
    assert [(row.value, str(row.origin)) for row in read_rows(found.train)][1] == ({"q": 2}, "owner/name[train]:2")
    for name in ("owner/name[test]", "name[test]"):
        assert names(locate_data(SourceConfig(train_files=(name,)), base=home)) == ([name], [])


def test_a_hub_that_cannot_be_reached_or_a_missing_package_is_said(home, monkeypatch):
    config = SourceConfig(train_files=("owner/name",))
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(get_dataset_split_names=unreachable))
    with pytest.raises(DataError, match=r"^owner/name: no file or folder has this name, and the Hub cannot be reached"):
        locate_data(config, base=home)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"tunelab\[hub\]"):
        locate_data(config, base=home)


def test_a_name_below_a_folder_that_exists_is_never_asked_of_the_hub(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(get_dataset_split_names=unreachable))
    with pytest.raises(DataError, match=r"is no file, no folder"):
        locate_data(SourceConfig(train_files=("logs/nothing",)), base=home)


@pytest.mark.parametrize("name", ["./lgs/a.jsonl", "./lgs/a", "lgs/a.jsonl", "lgs/a", "./lgs", "~/lgs"])
def test_a_mistyped_folder_is_never_asked_of_the_hub_and_names_what_is_near(home, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(get_dataset_split_names=unreachable))
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(DataError) as caught:
        locate_data(SourceConfig(train_files=(name,)), base=home)
    assert f'"{name}" is no file, no folder' in str(caught.value)
    assert 'Did you mean "logs"?' in str(caught.value)


def saved_to_disk(folder: Path, numbers: list[int]) -> None:
    """Write what `save_to_disk` of the datasets package writes for one split, in two shards."""
    folder.mkdir(parents=True)
    shards = [f"data-0000{index}-of-00002.arrow" for index in range(2)]
    for shard, some in zip(shards, (numbers[:1], numbers[1:]), strict=True):
        pl.DataFrame({"a": some, "m": [[{"role": "user"}]] * len(some)}).write_ipc_stream(folder / shard)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": shard} for shard in shards]}))
    (folder / "dataset_info.json").write_text("{}")
    (folder / "cache-0123456789abcdef.arrow").write_bytes(b"what a map left")


def test_a_folder_that_save_to_disk_wrote_is_read_whole(tmp_path):
    saved_to_disk(tmp_path / "saved", [1, 2, 3])
    found = locate_data(SourceConfig(train_files=("saved",)), base=tmp_path)
    assert [row.value["a"] for row in read_rows(found.train)] == [1, 2, 3]
    assert not found.eval


@pytest.mark.parametrize("splits", [("train", "test"), ("train", "validation"), ("train",)])
def test_the_splits_that_save_to_disk_wrote_are_training_and_held_out_files(tmp_path, splits):
    for number, split in enumerate(splits):
        saved_to_disk(tmp_path / "saved" / split, [number, number])
    (tmp_path / "saved" / "dataset_dict.json").write_text(json.dumps({"splits": splits}))
    found = locate_data(SourceConfig(train_files=("saved",)), base=tmp_path)
    assert [row.value["a"] for row in read_rows(found.train)] == [0, 0]
    assert [row.value["a"] for row in read_rows(found.eval)] == [1, 1] * (len(splits) - 1)


@pytest.mark.parametrize("split", ["", "train", "test"])
@pytest.mark.parametrize("named", ["saved", "pattern"])
def test_a_shard_that_a_saved_data_set_names_and_that_is_missing_is_refused_by_name(tmp_path, split, named):
    for each in ("train", "test") if split else ("",):
        saved_to_disk(tmp_path / "saved" / each, [1, 2, 3])
    (tmp_path / "saved" / split / "data-00001-of-00002.arrow").unlink()
    name = named if named == "saved" else f"saved/{split or '.'}/*.arrow"
    with pytest.raises(DataError, match=r"state\.json names data-00001-of-00002\.arrow, which is not here") as caught:
        locate_data(SourceConfig(train_files=(name,)), base=tmp_path)
    assert (caught.value.where or "").startswith(f"saved/{split}".rstrip("/"))


def test_a_split_that_a_saved_data_set_names_and_that_is_missing_is_refused_by_name(tmp_path):
    saved_to_disk(tmp_path / "saved" / "train", [1, 2])
    (tmp_path / "saved" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    with pytest.raises(DataError, match=r"saved: dataset_dict\.json names test, which is not here"):
        locate_data(SourceConfig(train_files=("saved",)), base=tmp_path)


@pytest.mark.parametrize(
    "content", ['{"lamps": ["a.arrow"]}', "[1]", "no JSON", '{"_data_files": [3, {"filename": 4}]}']
)
def test_a_state_of_another_program_names_no_shards(tmp_path, content):
    (tmp_path / "state.json").write_text(content)
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    assert locate_data(SourceConfig(train_files=(".",)), base=tmp_path).train


@given(size=st.integers(0, 30), count=st.none() | st.integers(1, 40), seed=st.integers(0, 5))
def test_a_sample_is_seeded_in_order_and_never_larger_than_asked(size, count, seed):
    items = list(range(size))
    drawn = sample(items, count, seed)
    assert list(drawn) == sorted(set(drawn))
    assert len(drawn) == (size if count is None else min(size, count))
    assert drawn == sample(items, count, seed)


def test_another_seed_draws_another_sample():
    assert len({sample(range(1000), 10, seed) for seed in range(5)}) == 5


def test_a_folder_of_data_that_is_not_there_is_named_as_data_dir(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError) as caught:
        locate_data(SourceConfig(data_dir="dta", train_files=("a.jsonl",)), base=tmp_path)
    assert str(caught.value).startswith(f'data.data_dir: there is no folder "{tmp_path / "dta"}"')
    assert str(caught.value).endswith('Did you mean "data"?')
    with pytest.raises(DataError, match="no file, no folder"):  # a name that does not start there
        locate_data(SourceConfig(data_dir="dta", train_files=(str(tmp_path / "a.jsonl"),)), base=tmp_path)
