"""What answers is opened from a run, an adapter's folder or a base model, and is what it was trained on."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from train_task import rows, write_lines, write_task
from tunelab.adapters.config import LoraConfig
from tunelab.conversations import Message
from tunelab.errors import AdapterError, ModelError, RunError
from tunelab.files import sha256_file
from tunelab.flows.subject import Subject, open_base, open_run, open_subject
from tunelab.flows.train import train
from tunelab.generation.completion import Sampling
from tunelab.models.base_hashes import hash_base
from tunelab.recipes import resolve_recipe, to_yaml, written_hash
from tunelab.workspace import Run, Workspace

Trains = Callable[..., Run]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A base model whose files the tests of this module change, and put back."""
    return Path(shutil.copytree(tiny_model, tmp_path_factory.mktemp("bases") / "base"))


@pytest.fixture(scope="module")
def trains(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Trains:
    def trains(*settings: str, lines: list[dict[str, object]] | None = None) -> Run:
        file = write_task(tmp_path_factory.mktemp("task"), base)
        if lines is not None:
            write_lines(file.parent / "train.jsonl", lines)
        resolved = resolve_recipe(file, overrides=("training.num_training_steps=4", *settings), environment={})
        return train(resolved, Workspace(path=file.parent)).run

    return trains


@pytest.fixture(scope="module")
def run(trains: Trains) -> Run:
    return trains()


def answer(subject: Subject, *, tuned: bool = True) -> str:
    prompt_ids = subject.renderer.prompt_ids([Message(role="user", content="question 3")], ())
    (response,) = subject.responder(Sampling(max_new_tokens=12), tuned=tuned).answers([prompt_ids])
    return response.text


def flip_a_bit(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-4] + bytes([content[-4] ^ 1]) + content[-3:])  # the least bit of a float32


def test_a_run_is_on_record_with_the_hashes_of_all_it_was_made_of(run: Run, trains: Trains, base: Path) -> None:
    manifest = run.read_manifest()
    assert manifest.base_files == {name: sha256_file(base / name) for name in ("config.json", "model.safetensors")}
    assert manifest.recipe_sha256 == written_hash(to_yaml(run.recipe))
    assert manifest.template_sha256 == open_run(run).renderer.template_hash
    assert manifest.files == {file.name: sha256_file(file) for file in run.adapter.iterdir()}
    assert len(manifest.data_sha256) == 64
    longer = trains("training.num_training_steps=5").read_manifest()
    assert (longer.data_sha256, longer.base_files) == (manifest.data_sha256, manifest.base_files)
    assert longer.recipe_sha256 != manifest.recipe_sha256
    assert trains(lines=rows(24, start=1)).read_manifest().data_sha256 != manifest.data_sha256


def test_a_base_model_that_changed_since_training_is_refused_with_the_name_of_the_file(run: Run, base: Path) -> None:
    weights = base / "model.safetensors"
    before = weights.read_bytes()
    try:
        flip_a_bit(weights)
        with pytest.raises(ModelError, match=r"base model is not the one .* \(changed: model\.safetensors\)"):
            open_run(run)
    finally:
        weights.write_bytes(before)
    assert open_run(run).manifest is not None


def test_a_run_is_not_resumed_over_a_base_model_of_other_bytes_and_equal_size(trains: Trains, base: Path) -> None:
    run = trains()
    run.manifest_file.unlink()
    weights = base / "model.safetensors"
    before = weights.read_bytes()
    resolved = resolve_recipe(run.recipe_file, environment={})
    workspace = Workspace(path=run.path.parents[1])
    try:
        flip_a_bit(weights)
        with pytest.raises(RunError, match="changed"):
            train(resolved, workspace, resume=True)
    finally:
        weights.write_bytes(before)
    assert train(resolved, workspace, resume=True).run.is_finished


def test_a_manifest_of_before_the_hashes_opens_over_any_base_model(trains: Trains, base: Path) -> None:
    run = trains()
    manifest = json.loads(run.manifest_file.read_text())
    for name in ("base_files", "recipe_sha256", "data_sha256"):
        del manifest[name]
    run.manifest_file.write_text(json.dumps(manifest))
    weights = base / "model.safetensors"
    before = weights.read_bytes()
    try:
        flip_a_bit(weights)
        assert open_run(run).manifest == run.read_manifest()
    finally:
        weights.write_bytes(before)


def test_an_adapter_in_its_run_opens_as_the_run(run: Run) -> None:
    subject = open_subject(str(run.adapter))
    assert subject.manifest == run.read_manifest()
    assert subject.recipe == open_run(run).recipe


def test_an_adapter_without_a_manifest_answers_as_its_run_does(run: Run, tmp_path: Path) -> None:
    subject = open_subject(str(shutil.copytree(run.adapter, tmp_path / "mine")))
    assert subject.manifest is None
    assert answer(subject) == answer(open_run(run)) != answer(subject, tuned=False)


def test_a_manifest_next_to_an_adapter_holds_its_base_model_and_rendering(run: Run, tmp_path: Path, base: Path) -> None:
    folder = Path(shutil.copytree(run.adapter, tmp_path / "adapter"))
    copied = Run(path=tmp_path)
    manifest = run.read_manifest()
    copied.write_manifest(manifest)
    assert open_subject(str(folder)).manifest == copied.read_manifest()
    copied.write_manifest(replace(manifest, template_sha256="0" * 64))
    with pytest.raises(RunError, match="chat template is not the one"):
        open_subject(str(folder))
    copied.write_manifest(replace(manifest, base_files=hash_base(base) | {"config.json": "0" * 64}))
    with pytest.raises(ModelError, match=r"changed: config\.json"):
        open_subject(str(folder))


def test_a_base_model_answers_as_a_run_does_without_its_adapter(run: Run, base: Path) -> None:
    subject = open_subject(str(base))
    assert (subject.adapter, subject.manifest) == (None, None)
    assert answer(subject) == answer(subject, tuned=False) == answer(open_run(run), tuned=False)


def test_an_embedded_base_model_opens_by_its_name() -> None:
    subject = open_base("nano")
    assert subject.recipe.model.base_model == "nano"
    assert isinstance(subject.recipe.adapter, LoraConfig)
    assert answer(subject)


def test_an_adapter_that_names_no_base_model_or_one_that_is_gone_is_told(run: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run.adapter, tmp_path / "mine"))
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"base_model_name_or_path": None}))
    with pytest.raises(AdapterError, match="names no base model"):
        open_subject(str(folder))
    gone = settings | {"base_model_name_or_path": str(tmp_path / "gone")}
    (folder / "adapter_config.json").write_text(json.dumps(gone))
    with pytest.raises(ModelError, match=r"gone: the base model of this adapter is gone"):
        open_subject(str(folder))
