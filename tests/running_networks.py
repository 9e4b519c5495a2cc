"""Small networks with layers that cannot branch, built on the spot."""

import torch
from transformers import (
    AutoModelForCausalLM,
    BambaConfig,
    FalconH1Config,
    FalconMambaConfig,
    GraniteMoeHybridConfig,
    JambaConfig,
    Lfm2Config,
    Mamba2Config,
    MambaConfig,
    MiniMaxConfig,
    NemotronHConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen3_5TextConfig,
    Qwen3NextConfig,
    RecurrentGemmaConfig,
    RwkvConfig,
    Zamba2Config,
    xLSTMConfig,
)

from networks import _SIZES

_BARE = {key: _SIZES[key] for key in ("vocab_size", "hidden_size", "num_hidden_layers", "pad_token_id", "bos_token_id")}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_DELTA_NET = {
    "head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"],
}
_MAMBA = {"mamba_d_state": 8, "mamba_d_head": 8, "mamba_n_heads": 8, "mamba_expand": 2, "mamba_chunk_size": 4}

RUNNING: dict[str, PretrainedConfig] = {
    "mamba": MambaConfig(**_BARE, state_size=8, eos_token_id=2),
    "mamba2": Mamba2Config(**_BARE, state_size=8, num_heads=8, head_dim=8, n_groups=2, chunk_size=4, eos_token_id=2),
    "falcon_mamba": FalconMambaConfig(**_BARE, state_size=8, eos_token_id=2),
    "qwen3_next": Qwen3NextConfig(**_SIZES, **_DELTA_NET, **_EXPERTS, shared_expert_intermediate_size=16),
    "qwen3_5": Qwen3_5TextConfig(**_SIZES, **_DELTA_NET),
    "lfm2": Lfm2Config(**_SIZES, layer_types=["conv", "full_attention"], block_auto_adjust_ff_dim=False),
    "bamba": BambaConfig(**_SIZES, **_MAMBA, attn_layer_indices=[1], mamba_n_groups=2),
    "jamba": JambaConfig(
        **_SIZES, attn_layer_period=2, attn_layer_offset=1, num_experts=2, mamba_d_state=8, mamba_dt_rank=4
    ),
    "falcon_h1": FalconH1Config(**_SIZES, **_MAMBA, mamba_d_ssm=64, head_dim=8, mamba_n_groups=1),
    "granitemoehybrid": GraniteMoeHybridConfig(
        **_SIZES,
        **_MAMBA,
        mamba_n_groups=1,
        layer_types=["mamba", "attention"],
        num_local_experts=2,
        num_experts_per_tok=1,
        shared_intermediate_size=16,
    ),
    "zamba2": Zamba2Config(
        **_SIZES,
        mamba_d_state=8,
        mamba_headdim=8,
        n_mamba_heads=8,
        mamba_ngroups=1,
        chunk_size=4,
        num_mem_blocks=1,
        layers_block_type=["linear_attention", "hybrid"],
        adapter_rank=4,
        use_mem_rope=True,
    ),
    "nemotron_h": NemotronHConfig(
        **_SIZES,
        layers_block_type=["linear_attention", "full_attention"],
        head_dim=8,
        mamba_num_heads=8,
        mamba_head_dim=8,
        ssm_state_size=8,
        n_groups=2,
        chunk_size=4,
    ),
    "minimax": MiniMaxConfig(
        **_SIZES, head_dim=8, num_local_experts=2, layer_types=["linear_attention", "full_attention"]
    ),
    "recurrent_gemma": RecurrentGemmaConfig(
        **_SIZES, head_dim=8, lru_width=32, attention_window_size=6, block_types=["recurrent", "attention"]
    ),
    "rwkv": RwkvConfig(**_BARE, attention_hidden_size=32, context_length=128, eos_token_id=2),
    "xlstm": xLSTMConfig(**_BARE, num_heads=4, num_blocks=2, qk_dim_factor=0.5, chunk_size=4, eos_token_id=2),
}


def running_network(family: str, *, dtype: torch.dtype = torch.float32, seed: int = 0) -> PreTrainedModel:
    """Return a frozen random network of a few thousand weights that cannot branch."""
    torch.manual_seed(seed)
    network = AutoModelForCausalLM.from_config(RUNNING[family])
    return network.to(dtype).requires_grad_(False).eval()
