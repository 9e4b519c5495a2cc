"""Every wish for layers is matched, or refused with what to write instead."""

import pytest
from transformers import Phi3Config

from networks import FAMILIES
from running_networks import RUNNING
from tunelab.errors import AdapterError
from tunelab.models.load_model import empty_model
from tunelab.models.network_layers import find_targets

PHI_4_MINI = Phi3Config(
    vocab_size=200064,
    hidden_size=3072,
    num_hidden_layers=32,
    num_attention_heads=24,
    num_key_value_heads=8,
    intermediate_size=8192,
    tie_word_embeddings=True,
    pad_token_id=199999,
)


def test_pain_07_a_target_that_matches_nothing_is_refused() -> None:
    network = empty_model(PHI_4_MINI)
    with pytest.raises(AdapterError) as refusal:
        find_targets(network, ["q_proj", "k_proj", "v_proj", "o_proj"])
    message = str(refusal.value)
    assert "q_proj, k_proj, v_proj match no layer of phi3" in message
    assert "fused: use qkv_proj" in message
    assert "attention, mlp, all-linear, embeddings" in message


def test_pain_07_the_attention_of_phi_4_mini_counts_its_fused_projection() -> None:
    (target,) = find_targets(empty_model(PHI_4_MINI), "attention")
    assert set(target.names) == {"qkv_proj", "o_proj"}
    assert len(target.modules) == 64
    assert 16 * sum(map(sum, target.shapes)) == 7_340_032


@pytest.mark.parametrize(
    ("family", "role", "names"),
    [
        ("llama", "attention", {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ("llama", "mlp", {"gate_proj", "up_proj", "down_proj"}),
        ("phi3", "all-linear", {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}),
        ("gpt2", "attention", {"c_attn", "c_proj"}),
        ("gpt2", "mlp", {"c_fc", "c_proj"}),
        ("gpt2", "embeddings", {"wte", "wpe"}),
        ("gemma3", "embeddings", {"embed_tokens"}),
        ("qwen3", "all-linear", {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
    ],
)
def test_a_role_finds_its_layers_in_every_family(family: str, role: str, names: set[str]) -> None:
    (target,) = find_targets(empty_model(FAMILIES[family]), role)
    assert set(target.names) == names
    assert "lm_head" not in target.names


def test_the_two_projections_of_one_name_are_told_apart_by_role() -> None:
    attention, mlp = find_targets(empty_model(FAMILIES["gpt2"]), ["attention", "mlp"])
    assert not set(attention.modules) & set(mlp.modules)


def test_a_misspelt_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(AdapterError, match='Did you mean "gate_proj"'):
        find_targets(empty_model(FAMILIES["llama"]), ["gate_projj"])


def test_a_name_that_reaches_some_layers_only_shows_in_its_coverage() -> None:
    (target,) = find_targets(empty_model(FAMILIES["llama"]), ["layers.0.self_attn.q_proj"])
    assert (len(target.modules), target.num_layers) == (1, 2)


def test_a_fused_name_is_answered_with_the_names_that_this_model_keeps_apart() -> None:
    with pytest.raises(AdapterError, match="they are apart: use q_proj, k_proj, v_proj"):
        find_targets(empty_model(FAMILIES["llama"]), ["qkv_proj"])


@pytest.mark.parametrize(
    ("family", "left_out", "kept"),
    [
        ("mamba", {"x_proj", "dt_proj", "out_proj"}, {"in_proj"}),
        ("mamba2", {"out_proj"}, {"in_proj"}),
        ("jamba", {"dt_proj"}, {"in_proj", "x_proj", "out_proj"}),
        ("bamba", {"out_proj"}, {"in_proj"}),
        ("qwen3_next", set(), {"in_proj_qkvz", "out_proj"}),
        ("lfm2", set(), {"in_proj", "out_proj"}),
    ],
)
def test_pain_07_layers_whose_weights_are_read_around_them_are_left_out_and_named(
    family: str, left_out: set[str], kept: set[str]
) -> None:
    network = empty_model(RUNNING[family])
    (target,) = find_targets(network, "all-linear")
    assert set(target.left_out) == left_out
    assert kept <= set(target.names)
    for name in left_out - set(target.names):
        with pytest.raises(AdapterError, match=f"{name} of {family} cannot be adapted"):
            find_targets(network, [name])


@pytest.mark.parametrize("family", FAMILIES)
def test_models_that_call_their_layers_have_none_left_out(family: str) -> None:
    assert not find_targets(empty_model(FAMILIES[family]), "all-linear")[0].left_out
