"""What is no base model, or not all of one, is refused for what it is: by check and train alike, without torch."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from networks import tiny_network
from tunelab.errors import ModelError
from tunelab.models.config import ModelConfig
from tunelab.models.load_model import load_model
from tunelab.models.locate_model import locate_model
from tunelab.models.require_files import require_loadable, require_text_model, require_weights

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 269060552\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A base of two shards."""
    path = tmp_path / "base"
    network = tiny_network(dtype=torch.bfloat16)
    half = sum(weight.numel() * 2 for weight in network.parameters()) // 2
    network.save_pretrained(path, max_shard_size=half)
    assert len(list(path.glob("model-*.safetensors"))) > 1
    return path


def _locate(name: str, base: Path, revision: str | None = None) -> Path:
    return locate_model(ModelConfig(base_model=name, revision=revision), base=base)


def _lose_a_shard(folder: Path) -> None:
    next(folder.glob("model-00002-*")).unlink()


def _cut_a_shard(folder: Path) -> None:
    file = next(folder.glob("model-00001-*"))
    file.write_bytes(file.read_bytes()[:-10])


def _cut_a_header(folder: Path) -> None:
    file = next(folder.glob("model-00001-*"))
    file.write_bytes(file.read_bytes()[:50])


def _lose_the_index(folder: Path) -> None:
    (folder / "model.safetensors.index.json").unlink()


def _pickle(folder: Path) -> None:
    for file in folder.glob("model*"):
        file.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")


def _lose_all(folder: Path) -> None:
    for file in folder.glob("model*"):
        file.unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_lose_a_shard, r"1 of \d files of weights are missing \(model-00002-.*Fetch the model again"),
        (_cut_a_shard, r"model-00001-.*the file is cut: [\d,]+ of [\d,]+ bytes are there"),
        (_cut_a_header, r"model-00001-.*its header cannot be read"),
        (_lose_the_index, r"holds model-00001-.*and neither model\.safetensors nor model\.safetensors\.index\.json"),
        (_pickle, r"the weights are pickled \(pytorch_model\.bin\).*never read"),
        (_lose_all, "holds no weights"),
    ],
)
def test_weights_that_are_not_all_there_are_refused_before_one_is_read(
    spoil: Callable[[Path], None], message: str, folder: Path
) -> None:
    require_weights(folder)
    spoil(folder)
    for refuse in (require_loadable, lambda folder: load_model(folder, ModelConfig())):
        with pytest.raises(ModelError, match=message):
            refuse(folder)


def test_a_shard_that_is_cut_at_any_byte_is_refused(folder: Path) -> None:
    file = next(folder.glob("model-00001-*"))
    whole = file.read_bytes()
    for kept in (0, 7, 8, 9, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:kept])
        with pytest.raises(ModelError, match=r"cut|header cannot be read"):
            require_weights(folder)


@pytest.mark.parametrize("name", ["model-00001-of-00002.safetensors", "tokenizer.json"])
def test_a_pointer_of_git_lfs_is_named_for_what_it_is(name: str, folder: Path) -> None:
    (folder / name).write_text(POINTER)
    with pytest.raises(ModelError, match=rf"{name} is a Git LFS pointer of a few bytes.*git lfs pull"):
        _locate(str(folder), folder)


def test_an_unknown_model_type_is_refused_with_the_version_that_does_not_know_it(folder: Path) -> None:
    _change(folder, model_type="lama")
    for refuse in (require_loadable, lambda folder: load_model(folder, ModelConfig())):
        with pytest.raises(ModelError, match=r'transformers \d+\.\d+\S* knows no model type "lama".*"llama"'):
            refuse(folder)
    _change(folder, model_type="evil_42")
    with pytest.raises(ModelError, match=r"pip install -U transformers.*Code that a model folder brings along"):
        require_text_model(folder)


def test_every_model_that_transformers_loads_for_text_passes(folder: Path) -> None:
    assert len(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) > 100
    for kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        _change(folder, model_type=kind)
        require_text_model(folder)
    _change(folder, model_type="t5")
    with pytest.raises(ModelError, match="t5 is no model that only writes text"):
        require_text_model(folder)


def test_a_base_is_looked_through_without_torch(folder: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from tunelab.models.require_files import require_loadable
require_loadable(Path({str(folder)!r}))
assert not {{"torch", "transformers"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_adapter_is_no_base_and_its_base_is_named(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "nano", "peft_type": "LORA"}))
    with pytest.raises(ModelError, match=r"holds an adapter of nano.*model\.base_model: nano\); .*tunelab chat"):
        _locate("adapter", tmp_path)


def test_a_run_is_no_base_and_what_it_was_tuned_from_is_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "adapter").mkdir(parents=True)
    for name in ("recipe.yaml", "events.jsonl"):
        (run / name).write_text("")
    (run / "manifest.json").write_text(json.dumps({"base_model": "nano"}))
    with pytest.raises(ModelError, match=r"a run of tunelab.*tuned from nano.*tunelab chat"):
        _locate("run", tmp_path)
    (run / "adapter" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"a run of tunelab.*that it trained lies in .*run/adapter"):
        _locate("run", tmp_path)


def test_a_folder_around_the_model_is_answered_with_the_model(folder: Path) -> None:
    with pytest.raises(ModelError, match=rf'holds no config\.json.*Did you mean "{folder}"\?'):
        _locate("..", folder)


def test_a_mistyped_folder_is_not_taken_for_a_name_on_the_hub(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "models" / "smol")
    with pytest.raises(ModelError, match=r'no model "models/smoll".*Did you mean "smol"\?'):
        _locate("models/smoll", tmp_path)
    with pytest.raises(ModelError, match="no pinned revision, and there is no folder of that name"):
        _locate("owner/name", tmp_path)
    monkeypatch.chdir(tmp_path)
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    with pytest.raises(ModelError, match=r"where relative names start.*From there it is \.\./models/smol"):
        _locate("./models/smol", recipes)


def test_a_file_of_a_model_is_answered_with_its_folder(folder: Path) -> None:
    with pytest.raises(ModelError, match=rf"a file, and no GGUF.*Name the folder that it lies in.*{folder}"):
        _locate("config.json", folder)


def _change(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
