"""A base model is known by the bytes of its files, each of which is read once."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tunelab.errors import ModelError
from tunelab.files import sha256_file
from tunelab.models import base_hashes
from tunelab.models.base_hashes import hash_base


@pytest.fixture
def base(tmp_path: Path, tiny_model: Path) -> Path:
    shutil.copytree(tiny_model, tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read, with a cache folder of the test's own."""
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path / "cache"))
    names: list[str] = []

    def counting(file: Path) -> str:
        names.append(file.name)
        return sha256_file(file)

    monkeypatch.setattr(base_hashes, "sha256_file", counting)
    return names


def test_the_hashes_are_those_of_the_config_and_of_the_weights_that_are_loaded(base: Path) -> None:
    (base / "adapter_model.safetensors").write_bytes(b"of an adapter that lies here")
    wanted = {name: sha256_file(base / name) for name in ("config.json", "model.safetensors")}
    assert hash_base(base) == wanted


def test_weights_in_several_files_are_found_by_their_index(base: Path) -> None:
    (base / "model.safetensors").rename(base / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    (base / "model-2.safetensors").write_bytes(b"more")
    assert set(hash_base(base)) == {"config.json", "model-1.safetensors", "model-2.safetensors"}


def test_a_file_is_read_once_and_again_only_after_it_changed(base: Path, read: list[str]) -> None:
    first = hash_base(base)
    assert read == ["config.json", "model.safetensors"]
    assert hash_base(base) == first
    assert len(read) == 2
    weights = base / "model.safetensors"
    before = weights.stat()
    with weights.open("r+b") as file:  # as many bytes, in the same inode, and the time of change put back
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    changed = hash_base(base)
    assert changed["model.safetensors"] != first["model.safetensors"]
    assert changed["config.json"] == first["config.json"]
    assert read[2:] == ["model.safetensors"]


def test_a_damaged_entry_is_no_entry(base: Path, read: list[str], tmp_path: Path) -> None:
    first = hash_base(base)
    for text in ("", "[]", "{}", "{", '{"file": 3}'):
        for entry in (tmp_path / "cache" / "weights").iterdir():
            entry.write_text(text)
        assert hash_base(base) == first
    assert len(read) == 12


def test_without_a_cache_folder_each_call_reads(
    base: Path, read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("", str(tmp_path / "base" / "config.json")):  # none, and one that cannot be made
        monkeypatch.setenv("TUNELAB_CACHE", folder)
        assert hash_base(base) == hash_base(base)
    assert len(read) == 8


def test_a_file_that_cannot_be_read_is_told(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(file: Path) -> str:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(base_hashes, "sha256_file", refused)
    with pytest.raises(ModelError, match=r"config\.json: it cannot be read \(Permission denied\)"):
        hash_base(base)
