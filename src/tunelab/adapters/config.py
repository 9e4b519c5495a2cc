"""Settings of the adapters: one section of a recipe each."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LoraConfig(BaseModel):
    """Low-rank adaptation of linear layers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    r: int = Field(16, ge=1, le=1024, description="Rank of the update.")
    lora_alpha: float = Field(
        32, gt=0, description="The update is scaled by lora_alpha / r (by lora_alpha / sqrt(r) with use_rslora)."
    )
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the input of the update.")
    target_modules: str | tuple[str, ...] = Field(
        "all-linear", description="Layers by role (attention, mlp, all-linear, embeddings) or by name; each must match."
    )
    bias: Literal["none", "all", "lora_only"] = Field("none", description="Which bias terms are trained along.")
    use_rslora: bool = Field(False, description="Rank-stabilised scaling.")
    use_dora: bool = Field(False, description="Weight-decomposed update (DoRA).")


class SoftPromptConfig(BaseModel):
    """Trained embeddings in front of every prompt (prompt tuning)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number_of_virtual_tokens: int = Field(64, ge=1, le=4096, description="Virtual tokens in front of every prompt.")
    init_prompt: str | None = Field(
        None,
        description=(
            "Text whose embeddings the virtual tokens start from, repeated or cut to fit; null starts from "
            "random vocabulary."
        ),
    )


class PrefixTuningConfig(BaseModel):
    """Trained keys and values in front of every layer's own (prefix tuning)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number_of_virtual_tokens: int = Field(
        32, ge=1, le=4096, description="Positions of the prefix; real tokens stand behind them."
    )
    prefix_projection: bool = Field(
        False, description="Compute the prefix from vectors through a trained two-layer MLP; it is folded when saved."
    )
    encoder_hidden_size: int = Field(
        512, ge=1, le=65536, description="Hidden width of that MLP; without prefix_projection it has no effect."
    )


AdapterConfig = LoraConfig | SoftPromptConfig | PrefixTuningConfig
