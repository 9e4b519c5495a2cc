"""Each setting of LoRA selects, trains and saves what peft means by it; switched off, the base is what it was."""

import json
import math
import re
import warnings
from pathlib import Path

import numpy as np
import peft
import pytest
import torch
from peft.optimizers import create_loraplus_optimizer
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from transformers import PreTrainedModel

from networks import tiny_network
from tunelab.adapters.attach import attach, load_adapter
from tunelab.adapters.config import LoraConfig
from tunelab.adapters.layer_adapter import LayerAdapter
from tunelab.errors import AdapterError
from tunelab.models.estimate import Sizes, sizes_in
from tunelab.models.network_layers import modules_of
from tunelab.models.weight_headers import read_headers

IDS = torch.tensor([[3, 7, 11, 4, 20]])
SETTINGS: dict[str, tuple[str, dict[str, object]]] = {
    "ranks by pattern": ("llama", {"rank_pattern": {"q_proj": 2, r"layers\.1\..*": 7}}),
    "scales by pattern": ("llama", {"alpha_pattern": {"mlp.up_proj": 3.5}, "use_rslora": True}),
    "one layer": ("llama", {"layers_to_transform": 1}),
    "one layer of GPT-2": ("gpt2", {"layers_to_transform": (1,), "target_modules": "attention"}),
    "without some": ("llama", {"exclude_modules": ("mlp", "layers.0.self_attn.q_proj")}),
    "whole embeddings": ("llama", {"modules_to_save": "embed_tokens"}),
    "whole head": ("llama", {"modules_to_save": "lm_head"}),
    "whole embeddings and head": ("llama", {"modules_to_save": ("embed_tokens", "lm_head")}),
    "whole norms": ("llama", {"modules_to_save": ("norm", "layers.1.input_layernorm")}),
    "tied embeddings": ("gemma3", {"modules_to_save": ("embed_tokens",)}),
    "tied head": ("gpt2", {"modules_to_save": ("lm_head", "ln_f"), "bias": "all"}),
    "all biases": ("gpt2", {"bias": "all"}),
    "biases of LoRA": ("gpt2", {"bias": "lora_only", "target_modules": "mlp"}),
    "gaussian": ("llama", {"init_lora_weights": "gaussian"}),
    "gaussian on embeddings": ("llama", {"init_lora_weights": "gaussian", "target_modules": "embeddings"}),
    "embeddings of GPT-2, its positions among them": ("gpt2", {"target_modules": "embeddings"}),
    "scaled and tied embeddings": ("gemma3", {"target_modules": "embeddings", "use_rslora": True}),
    "dora on embeddings": ("llama", {"use_dora": True, "target_modules": ("embeddings", "mlp")}),
    "pissa": ("llama", {"init_lora_weights": "pissa", "rank_pattern": {"v_proj": 2}, "alpha_pattern": {"o_proj": 9}}),
    "pissa, rank-stabilised": ("llama", {"init_lora_weights": "pissa", "use_rslora": True, "lora_dropout": 0.5}),
    "pissa of GPT-2": ("gpt2", {"init_lora_weights": "pissa", "target_modules": "all-linear", "bias": "all"}),
    "olora": ("llama", {"init_lora_weights": "olora", "exclude_modules": "down_proj"}),
    "dora in one layer": ("llama", {"use_dora": True, "layers_to_transform": 0, "modules_to_save": "lm_head"}),
}
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*is_gradient_checkpointing:FutureWarning"
)  # stock peft asks an old name
every_setting = pytest.mark.parametrize("name", SETTINGS)


def fresh(name: str, *, dtype: torch.dtype = torch.float32) -> tuple[PreTrainedModel, LayerAdapter]:
    family, settings = SETTINGS[name]
    return attached(family, dtype=dtype, **settings)


def attached(
    family: str, *, dtype: torch.dtype = torch.float32, **settings: object
) -> tuple[PreTrainedModel, LayerAdapter]:
    network = tiny_network(family, dtype=dtype)
    config = LoraConfig(**({"r": 4} | settings))  # type: ignore[arg-type]
    adapter = attach(network, config, init_ids=np.array([], dtype=np.int32), base_model="tiny", seed=3)
    assert isinstance(adapter, LayerAdapter)
    return network, adapter


def moved(name: str, *, dtype: torch.dtype = torch.float32) -> tuple[PreTrainedModel, LayerAdapter]:
    """Return a network whose adapter has been trained, in effect: each of its weights is another."""
    network, adapter = fresh(name, dtype=dtype)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in adapter.named_parameters().values():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    return network, adapter


def logits(network: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return network.eval()(input_ids=IDS).logits  # type: ignore[no-any-return]


def base_of(name: str) -> PreTrainedModel:
    return tiny_network(SETTINGS[name][0])


@every_setting
def test_stock_peft_loads_it_over_the_untouched_base_with_equal_outputs(name: str, tmp_path: Path) -> None:
    network, adapter = moved(name)
    adapter.save(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's own deprecations, and its word on tied weights
        stock = peft.PeftModel.from_pretrained(base_of(name), str(tmp_path))
    assert torch.allclose(logits(network), logits(stock), atol=1e-5)
    assert not torch.allclose(logits(network), logits(base_of(name)), atol=1e-3)


@every_setting
def test_it_reads_back_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    network, adapter = moved(name)
    adapter.save(tmp_path)
    again = base_of(name)
    loaded = load_adapter(again, tmp_path, base_model="tiny")
    assert torch.allclose(logits(again), logits(network), atol=1e-5)
    (tmp_path / "again").mkdir()
    loaded.save(tmp_path / "again")
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        if file.endswith("safetensors"):
            assert (tmp_path / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
        else:
            before, after = (json.loads((folder / file).read_text()) for folder in (tmp_path, tmp_path / "again"))
            assert {key for key in before if before[key] != after[key]} <= {"inference_mode"}


@every_setting
def test_switched_off_the_base_answers_exactly(name: str, tmp_path: Path) -> None:
    base = logits(base_of(name))
    trained = moved(name)
    trained[1].save(tmp_path)
    again = base_of(name)
    for network, adapter in (trained, (again, load_adapter(again, tmp_path, base_model="tiny"))):
        tuned = logits(network)
        with adapter.disabled():
            assert torch.equal(logits(network), base)
        assert torch.equal(logits(network), tuned)
        assert not torch.equal(tuned, base)


@every_setting
def test_what_is_trained_is_known_from_the_headers_of_the_base(name: str, tmp_path: Path) -> None:
    _, settings = SETTINGS[name]
    base_of(name).save_pretrained(tmp_path)
    weights, sizes = read_headers(tmp_path), sizes_in(tmp_path)
    assert weights is not None
    assert sizes is not None
    config = LoraConfig(**({"r": 4} | settings))  # type: ignore[arg-type]
    modules = weights.modules(num_layers=sizes.layers)
    targets = config.targets_in(modules)
    _, adapter = fresh(name)
    trained = {name: weight.numel() for name, weight in adapter.named_parameters().items()}
    biases = sum(number for name, number in trained.items() if name.endswith("bias") and "modules_to_save" not in name)
    assert (
        config.num_trained(targets=targets, sizes=sizes, num_weights=weights.num_weights)
        == sum(trained.values()) - biases
        > 0
    )
    said = [target.in_words for target in targets]
    told = [[sorted(re.findall(r"\w+", line)) for line in lines] for lines in (adapter.description, said)]
    assert told[0] == told[1]  # the files name the layers of a block in another order
    assert modules.tied == modules_of(base_of(name)).tied


@every_setting
def test_a_fresh_update_changes_nothing(name: str) -> None:
    network, _ = fresh(name)
    if "pissa" in name or name == "olora":  # an update and what it started from cancel out, to rounding
        assert torch.allclose(logits(network), logits(base_of(name)), atol=1e-6)
    elif "embeddings" not in name or "whole" in name:
        assert torch.equal(logits(network), logits(base_of(name)))


def test_the_first_pattern_that_fits_gives_rank_and_scale() -> None:
    network, _ = attached(
        "llama",
        target_modules="attention",
        rank_pattern={"layers.1.self_attn.q_proj": 3, "q_proj": 5, ".*1.*v.*": 6},
        alpha_pattern={"k_proj": 1},
    )
    found = {
        name.removeprefix("model.layers."): (layer.r["default"], layer.scaling["default"])
        for name, layer in network.named_modules()
        if isinstance(layer, LoraLayer)
    }
    assert found["0.self_attn.q_proj"] == (5, 32 / 5)
    assert found["1.self_attn.q_proj"] == (3, 32 / 3)
    assert found["1.self_attn.v_proj"] == (6, 32 / 6)
    assert found["0.self_attn.v_proj"] == (4, 8)
    assert found["1.self_attn.k_proj"] == (4, 0.25)


def test_a_regular_expression_is_never_run_by_pythons_engine() -> None:
    endless = r"((\w|\.)+)+!"  # on a name of thirty letters Python tries a billion ways
    with pytest.raises(AdapterError, match="matches no layer that is trained"):
        attached("llama", target_modules="attention", rank_pattern={"q_proj": 2, endless: 3})
    network, _ = attached(
        "llama", target_modules="attention", rank_pattern={r"((\w|\.)+)+1\.self_attn.[kv]_proj": 2, "v_proj": 3}
    )
    ranks = {
        name.removeprefix("model.layers."): layer.r["default"]
        for name, layer in network.named_modules()
        if isinstance(layer, LoraLayer)
    }
    assert [ranks[f"{layer}.self_attn.{name}_proj"] for layer in (0, 1) for name in "qkv"] == [4, 4, 3, 4, 2, 2]


def names_of(family: str = "llama", **settings: object) -> set[str]:
    """Return the modules of the trained weights."""
    _, adapter = attached(family, **settings)
    return {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in adapter.named_parameters()}


def test_other_layers_and_excluded_modules_are_not_trained() -> None:
    every = names_of(target_modules="attention")
    assert names_of(target_modules="attention", layers_to_transform=(1,)) == {name for name in every if ".1." in name}
    assert names_of(target_modules="attention", exclude_modules="q_proj") == {
        name for name in every if not name.endswith("q_proj")
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"layers_to_transform": [1], "rank_pattern": {"q_proj": 3}},
        {"layers_to_transform": 0},
        {"exclude_modules": ["layers.1.mlp.down_proj", "q_proj"], "alpha_pattern": {"v_proj": 3}},
        {"modules_to_save": ["lm_head", "model.norm"]},
    ],
    ids=repr,
)
def test_what_is_trained_of_the_layers_is_what_peft_trains_of_them(settings: dict[str, object]) -> None:
    names = ("q_proj", "v_proj", "down_proj")
    stock = peft.get_peft_model(tiny_network(), peft.LoraConfig(r=4, target_modules=list(names), **settings))
    theirs = {name: weight.shape for name, weight in stock.named_parameters() if weight.requires_grad}
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    if "q_proj" in given.get("exclude_modules", ()):  # type: ignore[operator]  # what is wished for is not taken back
        names = ("v_proj", "down_proj")
        given["exclude_modules"] = "layers.1.mlp.down_proj"
    _, adapter = attached("llama", target_modules=names, **given)
    assert {name: weight.shape for name, weight in adapter.named_parameters().items()} == theirs


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"rank_pattern": {"q_prj": 2}}, r'lora.rank_pattern: "q_prj" matches no layer.*Did you mean "q_proj"'),
        ({"alpha_pattern": {"embed_tokens": 2}}, 'lora.alpha_pattern: "embed_tokens" matches no layer that is trained'),
        ({"rank_pattern": {"q_proj": 2, "layers.0.self_attn.q_proj": 3}}, "is never used: an earlier pattern takes"),
        ({"layers_to_transform": (0, 2, 7)}, r"llama has no layer 2, 7; expected numbers from 0 to 1"),
        ({"layers_to_transform": -1}, "llama has no layer -1"),
        (
            {"layers_to_transform": 1, "target_modules": ("mlp", "embeddings")},
            "lora.layers_to_transform: embeddings has no module in these layers",
        ),
        ({"exclude_modules": "v_prj"}, r'"v_prj" matches no layer that target_modules takes.*"v_proj"'),
        ({"exclude_modules": "mlp", "target_modules": "attention"}, '"mlp" matches no layer that target_modules'),
        ({"exclude_modules": "all-linear"}, "lora.exclude_modules: all-linear keeps no module"),
        (
            {"modules_to_save": ("embed_token",)},
            r'"embed_token" matches no module of llama.*Did you mean "embed_tokens"',
        ),
        ({"modules_to_save": "q_proj"}, "is to be trained whole and to get an update"),
        (
            {"modules_to_save": "embed_tokens", "target_modules": "embeddings"},
            r"model.embed_tokens is to be trained whole.*exclude_modules: \[embed_tokens\]",
        ),
        ({"init_lora_weights": "pissa", "r": 33}, "has 32 of a weight's own directions and rank 33"),
        ({"init_lora_weights": "olora", "target_modules": "embeddings"}, "is a table of embeddings"),
    ],
)
def test_what_selects_nothing_or_contradicts_itself_is_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(AdapterError, match=told):
        attached("llama", **settings)


@pytest.mark.parametrize("pattern", ["(", "(?i)q_proj", "q{99999999999999999999}"])
def test_a_pattern_that_peft_could_not_match_is_refused_with_the_fault(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no regular expression: "):
        LoraConfig(rank_pattern={"k_proj": 4, pattern: 2})


def test_layers_that_two_wishes_name_are_counted_once() -> None:
    _, adapter = attached("llama", target_modules=("attention", "q_proj"))
    config = LoraConfig(r=4, target_modules=("attention", "q_proj"))
    sizes = Sizes(hidden=0, layers=0, mlp=0, vocabulary=0)  # LoRA counts from its targets alone
    counted = config.num_trained(targets=config.targets_in(modules_of(tiny_network())), sizes=sizes, num_weights=0)
    assert counted == sum(weight.numel() for weight in adapter.named_parameters().values())


def test_a_whole_module_may_be_one_that_an_exclusion_spares_the_update() -> None:
    names = names_of(target_modules="attention", exclude_modules="k_proj", modules_to_save="k_proj")
    assert {name for name in names if "k_proj" in name} == {
        f"model.layers.{layer}.self_attn.k_proj.modules_to_save.default.weight" for layer in (0, 1)
    }


@pytest.mark.parametrize("asked", ["embed_tokens", "lm_head", ("embed_tokens", "lm_head")])
def test_tied_embeddings_stay_tied_whichever_of_the_two_is_asked_for(asked: object, tmp_path: Path) -> None:
    network, adapter = attached("gemma3", modules_to_save=asked)
    embeddings, head = network.get_input_embeddings(), network.get_output_embeddings()
    assert head.weight is embeddings.weight
    whole = [weight for name, weight in adapter.named_parameters().items() if "modules_to_save" in name]
    assert len(whole) == 1
    assert "embed_tokens, lm_head (tied: one weight for both): 2 modules trained whole, 1,600 weights" in (
        adapter.description
    )
    network(IDS).logits.logsumexp(-1).mean().backward()
    embedded = whole[0].grad
    assert embedded is not None
    assert embedded.abs().sum(dim=1).count_nonzero() == 50  # the head reaches tokens that the text does not hold
    adapter.save(tmp_path)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    pair = [weight for name, weight in saved.items() if "embed_tokens" in name or "lm_head" in name]
    assert len(pair) == 2
    assert torch.equal(*pair)


def test_whole_modules_over_a_base_in_half_precision_are_trained_in_float32(tmp_path: Path) -> None:
    whole = ("embed_tokens", "lm_head", "norm")
    network, adapter = attached("llama", modules_to_save=whole, dtype=torch.bfloat16)
    assert {weight.dtype for weight in adapter.named_parameters().values()} == {torch.float32}
    output = network(IDS).logits
    assert output.dtype == torch.bfloat16
    base = tiny_network(dtype=torch.bfloat16)(IDS).logits
    assert float((output - base).detach().norm() / base.norm()) < 0.01
    output.float().square().mean().backward()
    assert all(
        weight.grad is not None and weight.grad.dtype == torch.float32 for weight in adapter.named_parameters().values()
    )
    with adapter.disabled():
        assert torch.equal(network(IDS).logits, base)


def test_small_steps_of_whole_modules_over_a_base_in_half_precision_are_there_once_loaded(tmp_path: Path) -> None:
    network, adapter = attached("llama", modules_to_save=("embed_tokens", "lm_head", "norm"), dtype=torch.bfloat16)
    trained = {name: weight for name, weight in adapter.named_parameters().items() if "modules_to_save" in name}
    for weight in trained.values():
        weight.data *= 1.001  # less than a step of bfloat16
    adapter.save(tmp_path)
    again = tiny_network(dtype=torch.bfloat16)
    loaded = load_adapter(again, tmp_path, base_model="tiny")
    weights = loaded.named_parameters()
    assert len(trained) == 3
    assert all(torch.equal(weights[name], weight) for name, weight in trained.items())
    assert torch.equal(again(IDS).logits, network(IDS).logits)
    with loaded.disabled():
        assert torch.equal(again(IDS).logits, tiny_network(dtype=torch.bfloat16)(IDS).logits)


@pytest.mark.parametrize("method", ["pissa", "olora"])
@pytest.mark.parametrize("use_rslora", [False, True])
def test_updates_start_where_those_of_peft_do_and_give_what_theirs_give(method: str, use_rslora: bool) -> None:
    network, adapter = attached("llama", init_lora_weights=method, use_rslora=use_rslora)
    settings = peft.LoraConfig(
        r=4, lora_alpha=32, target_modules="all-linear", init_lora_weights=method, use_rslora=use_rslora
    )
    stock = peft.get_peft_model(tiny_network(), settings)
    theirs = {name: weight for name, weight in stock.named_parameters() if weight.requires_grad}
    generator = torch.Generator().manual_seed(1)
    for name, weight in adapter.named_parameters().items():
        assert torch.allclose(weight, theirs[name], atol=1e-6)
        step = torch.randn(weight.shape, generator=generator) * 0.1
        weight.data += step
        theirs[name].data += step
    assert torch.allclose(logits(network), logits(stock), atol=1e-5)


def test_a_gaussian_start_spreads_the_first_half_by_its_rank() -> None:
    _, adapter = attached("llama", init_lora_weights="gaussian", r=8)
    first = torch.cat([w.detach().flatten() for name, w in adapter.named_parameters().items() if "lora_A" in name])
    assert float(first.std()) == pytest.approx(1 / 8, rel=0.05)
    _, usual = attached("llama", r=8)
    drawn = torch.cat([w.detach().flatten() for name, w in usual.named_parameters().items() if "lora_A" in name])
    assert float(drawn.abs().max()) <= 1 / math.sqrt(32)  # uniform


@pytest.mark.parametrize(
    ("family", "settings"),
    [("llama", {}), ("llama", {"use_dora": True, "modules_to_save": "lm_head"}), ("gpt2", {"bias": "all"})],
)
def test_the_weights_with_a_higher_rate_are_those_of_the_optimizer_of_peft(
    family: str, settings: dict[str, object]
) -> None:
    _, adapter = attached(family, loraplus_lr_ratio=16, target_modules="attention", **settings)
    theirs = create_loraplus_optimizer(adapter._wrapped, torch.optim.SGD, lr=1.0, loraplus_lr_ratio=16)
    higher = {weight for group in theirs.param_groups if group["lr"] == 16 for weight in group["params"]}
    factors = adapter.learning_rate_factors()
    assert set(factors.values()) == {16}
    assert {weight for name, weight in adapter.named_parameters().items() if name in factors} == higher
    assert 0 < len(higher) < len(adapter.named_parameters())
