"""Names of layers that peft 0.21 takes for parts of experts, which transformers 5 holds fused. Imports no torch."""

_LIKE_MIXTRAL = ("gate", "w1", "w2", "w3")
_LIKE_QWEN2_MOE = ("gate", "gate_proj", "up_proj", "down_proj")
_KINDS = {
    **dict.fromkeys(("minimax", "minimax_m2", "mixtral"), _LIKE_MIXTRAL),
    **dict.fromkeys(
        (
            "afmoe",
            "beam",
            "cohere2_moe",
            "deepseek_v2",
            "deepseek_v3",
            "deepseek_v32",
            "dots1",
            "ernie4_5_moe",
            "exaone_moe",
            "flex_olmo",
            "glm4_moe",
            "glm4_moe_lite",
            "glm4v_moe",
            "glm_moe_dsa",
            "hunyuan_v1_moe",
            "longcat_flash",
            "mellum",
            "olmoe",
            "qwen3_moe",
            "qwen3_next",
            "qwen3_omni_moe",
            "qwen3_omni_moe_text",
            "qwen3_omni_moe_thinker",
            "solar_open",
        ),
        _LIKE_QWEN2_MOE,
    ),
}


def taken_for_experts(kind: str) -> tuple[str, ...]:
    """Return the last parts of the names that peft rewrites in a kind of model, as its config.json names it."""
    return _KINDS.get(kind, ())
