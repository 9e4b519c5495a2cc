"""A manifest says what a run was made of, and what serving must know."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tunelab.errors import RunError
from tunelab.registry import Manifest, read_manifest, write_manifest

TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
MANIFEST = Manifest(
    run_id="taxonomy-1",
    base_model="nano",
    base_files={"config.json": "12", "model.safetensors": "34"},
    recipe_sha256="56",
    data_sha256="78",
    template_sha256="ab",
    rendered_on=date(2026, 1, 2),
    system_prompt="be kind",
    tools=(TOOL,),
    held_out_loss=1.5,
    files={"adapter_config.json": "cd"},
)


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.json", MANIFEST)
    assert read_manifest(tmp_path / "manifest.json") == MANIFEST


def test_a_manifest_of_before_the_hashes_reads_back(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    before = {"base_model": "nano", "template_sha256": "ab", "rendered_on": "2026-01-02", "steps": 3, "run_id": "x"}
    file.write_text(json.dumps(before))
    manifest = read_manifest(file)
    assert (manifest.steps, manifest.base_files, manifest.data_sha256) == (3, {}, "")


def test_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    for content in (b"{", b"{}", b'{"base_model": 3}', b'{"base_model": "\xff"}'):
        file.write_bytes(content)
        with pytest.raises(RunError, match="manifest is damaged"):
            read_manifest(file)


def test_the_fingerprint_changes_with_all_that_a_run_is_made_of_and_with_nothing_else() -> None:
    made_of = {"base_files": {}, "recipe_sha256": "", "data_sha256": "", "template_sha256": ""}
    prints = {MANIFEST.fingerprint, *(replace(MANIFEST, **{key: value}).fingerprint for key, value in made_of.items())}
    assert len(prints) == 5
    assert replace(MANIFEST, run_id="other", held_out_loss=2.0, files={}, steps=9).fingerprint == MANIFEST.fingerprint
