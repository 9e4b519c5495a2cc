"""The catalogue states what is so; own entries are read strictly, each fault with its line."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from tunelab.adapters.kinds import KINDS
from tunelab.errors import WorkspaceError
from tunelab.models.layer_roles import role_of
from tunelab.models.locate_model import EMBEDDED_MODELS, MODEL_NAMES
from tunelab.models.weight_headers import read_headers
from tunelab.workspace import Workspace
from tunelab.workspace.projects import METHODS, find_model, read_catalogue


def own_models(folder: Path, text: str) -> Workspace:
    (folder / "models.yaml").write_text(text, encoding="utf-8")
    return Workspace(path=folder)


def test_every_model_that_needs_no_folder_is_in_the_catalogue_and_every_kind_of_adapter_is_a_method() -> None:
    assert set(MODEL_NAMES) <= read_catalogue().keys()
    assert [kind.section for kind in KINDS] == list(METHODS)
    assert [model for model, entry in read_catalogue().items() if "local" not in entry.places] == [
        "microsoft/phi-silica-3.6"
    ]


def test_the_facts_of_the_embedded_model_are_those_of_its_files() -> None:
    folder, entry = EMBEDDED_MODELS["nano"], read_catalogue()["nano"]
    stored = read_headers(folder)
    assert stored is not None
    assert entry.parameters == stored.num_weights
    assert entry.size_bytes == (folder / "model.safetensors").stat().st_size
    assert entry.context == json.loads((folder / "config.json").read_text())["max_position_embeddings"]
    assert {role: set(names) for role, names in entry.layers.items()} == roles_of(stored.layers)


def roles_of(modules: Iterable[str]) -> dict[str, set[str]]:
    """Return role -> last parts of the names."""
    names = list(modules)
    return {role: {name.rpartition(".")[2] for name in names if role_of(name) == role} for role in ("attention", "mlp")}


SHAPES = {
    "microsoft/Phi-4-mini-instruct": ("Phi3", 200064, 3072, 8192, 32, 24, 8, True),
    "microsoft/Phi-3-mini-4k-instruct": ("Phi3", 32064, 3072, 8192, 32, 32, 32, False),
    "meta-llama/Meta-Llama-3-8B-Instruct": ("Llama", 128256, 4096, 14336, 32, 32, 8, False),
    "smollm2": ("Llama", 49152, 576, 1536, 30, 9, 3, True),
    "HuggingFaceTB/SmolLM2-360M-Instruct": ("Llama", 49152, 960, 2560, 32, 15, 5, True),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": ("Llama", 49152, 2048, 8192, 24, 32, 32, True),
    "Qwen/Qwen2.5-0.5B-Instruct": ("Qwen2", 151936, 896, 4864, 24, 14, 2, True),
    "Qwen/Qwen3-0.6B": ("Qwen3", 151936, 1024, 3072, 28, 16, 8, True),
}
"""Family, vocabulary, widths, layers, heads, heads of keys, and whether the head is tied, as each config.json says."""


@pytest.mark.parametrize("model_id", SHAPES)
def test_weights_and_layers_of_a_model_are_those_of_a_network_of_its_shape(model_id: str) -> None:
    import torch
    import transformers

    entry = read_catalogue()[model_id]
    family, vocabulary, hidden, inner, layers, heads, key_heads, tied = SHAPES[model_id]
    config = getattr(transformers, f"{family}Config")(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_heads,
        tie_word_embeddings=tied,
        pad_token_id=None,
        **({"head_dim": 128} if family == "Qwen3" else {}),
    )
    with torch.device("meta"):
        network = getattr(transformers, f"{family}ForCausalLM")(config)
    assert entry.parameters == sum(weight.numel() for weight in network.parameters())
    linear = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Linear)]
    assert {role: set(names) for role, names in entry.layers.items()} == roles_of(linear)


def test_own_entries_come_after_the_packages_and_replace_those_of_the_same_id(tmp_path: Path) -> None:
    workspace = own_models(
        tmp_path, "Qwen/Qwen3-0.6B:\n  name: Pinned\n  revision: abc\nmy/model:\n  name: Mine\n  methods: [lora]\n"
    )
    catalogue = read_catalogue(workspace)
    assert list(catalogue)[-1] == "my/model"
    assert len(catalogue) == len(read_catalogue()) + 1
    assert (catalogue["Qwen/Qwen3-0.6B"].name, catalogue["Qwen/Qwen3-0.6B"].revision) == ("Pinned", "abc")
    assert catalogue["my/model"].methods == ["lora"]
    assert read_catalogue(own_models(tmp_path, "# none yet\n")) == read_catalogue()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m:\n  name: M\n  licens: MIT\n", r':3: a model has no fact "licens". Did you mean "licence"\?'),
        ("m:\n  licence: MIT\n", r":1: name is missing"),
        ("m:\n  name: 3\n", r":2: name: input should be a valid string"),
        (
            "m:\n  name: M\n  methods: [lora, lroa]\n",
            r':3: methods holds "lroa", which is no method. Did you mean "lora"',
        ),
        ("m:\n  name: M\n  places: [moon]\n", r":3: places.0: input should be 'local' or 'cloud'"),
        ("m:\n  name: M\n  parameters: -3\n", r":3: parameters: input should be greater than 0"),
        ("m:\n  name: M\n  parameters: many\n", r":3: parameters: input should be a valid integer"),
        ("m:\n  name: M\n  layers: {heads: [x]}\n", r":3: layers.heads"),
        ("m:\n  name: M\n  id: n\n", r':3: a model has no fact "id"'),
        ("m:\n  name: M\nm:\n  name: N\n", r":3: a second value for the key"),
        ("m: yes\n", r":1: m has no facts; expected at least name:"),
        ("- m\n", r"models.yaml: this is no mapping"),
        ("m: [\n", r"models.yaml:2: this is not YAML"),
        ("../m:\n  name: M\n", r':1: "../m" is no id of a model'),
        ("a/../m:\n  name: M\n", r':1: "a/../m" is no id of a model'),
        ("a/b/c:\n  name: M\n", r':1: "a/b/c" is no id of a model'),
        ('"a\\0b":\n  name: M\n', r":1: .* is no id of a model"),
        ("😀:\n  name: M\n", r":1: .* is no id of a model"),
        (f"{'m' * 300}:\n  name: M\n", r":1: the id of the model has 300 characters; expected at most 96"),
        ("Nano:\n  name: M\n", r'models.yaml: the ids "Nano" and "nano" differ in small letters alone'),
    ],
)
def test_a_fault_in_an_own_entry_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(WorkspaceError, match=f"(?s)models.yaml.*{message.removeprefix('models.yaml')}"):
        read_catalogue(own_models(tmp_path, text))


def test_a_model_is_found_in_any_letters_and_else_the_nearest_is_named() -> None:
    catalogue = read_catalogue()
    assert find_model(catalogue, "microsoft/phi-4-mini-instruct").id == "microsoft/Phi-4-mini-instruct"
    with pytest.raises(WorkspaceError, match=r'no model "nanno". Did you mean "nano"\?'):
        find_model(catalogue, "nanno")
    with pytest.raises(WorkspaceError, match=r"tunelab models lists them; own ones belong into models.yaml"):
        find_model(catalogue, "somebody/something-else")
    for model_id in ("../nano", "a\0b", "x" * 300, "😀", ""):
        with pytest.raises(WorkspaceError, match="id"):
            find_model(catalogue, model_id)
