"""Settings of the adapters: one section of a recipe each, and what every kind answers. Imports no torch."""

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationInfo, field_validator

from tunelab.adapters.lora_targets import (
    first_pattern,
    in_layers,
    refuse_high_ranks,
    refuse_passed_over,
    refuse_unused,
    whole_modules,
    without,
)
from tunelab.conversations.safe_regex import refuse_bad_pattern
from tunelab.errors import AdapterError, counted
from tunelab.models.config import Quantization
from tunelab.models.estimate import Sizes
from tunelab.models.layer_roles import Modules, Target, role_of
from tunelab.settings import marks


class AdapterConfig(BaseModel):
    """Settings of an adapter of any kind, and what flows ask of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    section: ClassVar[str]
    """Name of the section in a recipe, for messages to speak of."""

    @abstractmethod
    def describe(self) -> str:
        """Return the adapter in words, e.g. ``LoRA, rank 16 on all-linear``."""

    @abstractmethod
    def num_trained(self, *, targets: Sequence[Target], sizes: Sizes, num_weights: int) -> int:
        """Return the number of weights that the adapter trains.

        Args:
            targets: what `targets_in` returned.
            sizes: of the base model.
            num_weights: of the base model.
        """

    @property
    def requested_targets(self) -> str | tuple[str, ...]:
        """Layers that the adapter trains, by role or name: its `target_modules`, if it has them."""
        targets: str | tuple[str, ...] = getattr(self, "target_modules", ())
        return targets

    def targets_in(self, modules: Modules) -> list[Target]:
        """Return what of a base model is trained.

        Raises:
            AdapterError: a setting asks for what the base model does not have.
        """
        return modules.match(self.requested_targets, where=f"{self.section}.target_modules")

    @property
    def num_positions(self) -> int:
        """Positions that the adapter takes in front of every sequence."""
        return 0

    @property
    def initial_text(self) -> str | None:
        """Text that the adapter starts from."""
        return None

    @property
    def divides_by_outputs(self) -> bool:
        """True if an output of a layer without any weight, which can learn nothing, would be divided by."""
        return False

    @property
    def trains_base(self) -> bool:
        """True if the base model's own weights are trained, which are then held in float32."""
        return False

    @property
    def base_quantization(self) -> Quantization | None:
        """How the base model is packed while it is loaded; None leaves it as it is."""
        return None

    @property
    def can_shard_base(self) -> bool:
        """True if the base model's layers are frozen and whole, so that processes can hold a part of each."""
        return not self.trains_base and self.base_quantization is None

    def remarks(self, given: Collection[str]) -> Iterator[str]:
        """Yield what is to be said of settings that have no effect; `given` are the names that somebody set."""
        yield from ()


Rank = Annotated[int, Field(ge=1, le=1024, strict=True)]


class LoraConfig(AdapterConfig):
    """Low-rank updates of linear layers; rsLoRA and DoRA by a setting."""

    section = "lora"

    r: Rank = Field(16, description="Rank of the update.", json_schema_extra=marks(everyday=True, scale="log"))
    lora_alpha: float = Field(
        32,
        gt=0,
        description="The update is scaled by lora_alpha / r (by lora_alpha / sqrt(r) with use_rslora).",
        json_schema_extra=marks(everyday=True, scale="log"),
    )
    rank_pattern: dict[str, Rank] = Field(
        default_factory=dict,
        description="Ranks of some layers: a name, or a regular expression for the end of one -> rank. The first that "
        "fits a layer counts.",
    )
    alpha_pattern: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]] = Field(
        default_factory=dict, description="lora_alpha of some layers, by the same patterns."
    )
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the input of the update.")
    target_modules: str | tuple[str, ...] = Field(
        "all-linear",
        description="Layers by role (attention, mlp, all-linear, embeddings) or by name; each must match.",
        json_schema_extra=marks(everyday=True),
    )
    layers_to_transform: StrictInt | tuple[StrictInt, ...] = Field(
        (), description="Numbers of the layers that are trained, from 0; none given trains all of them."
    )
    exclude_modules: str | tuple[str, ...] = Field(
        (), description="Layers left out of target_modules, by role or name; each must match."
    )
    modules_to_save: str | tuple[str, ...] = Field(
        (),
        description="Modules trained whole and saved with the adapter, by name: embed_tokens, lm_head, norm. Tied ones "
        "stay tied.",
    )
    bias: Literal["none", "all", "lora_only"] = Field("none", description="Which bias terms are trained along.")
    use_rslora: bool = Field(False, description="Rank-stabilised scaling.")
    use_dora: bool = Field(False, description="Weight-decomposed update (DoRA).")
    init_lora_weights: Literal[True, "gaussian", "pissa", "olora"] = Field(
        True,
        description="What the update starts from: zero (true; gaussian draws its first half otherwise), or the layer's "
        "own weight, by singular values (pissa) or orthogonal columns (olora).",
    )
    loraplus_lr_ratio: float = Field(
        1.0,
        ge=1,
        le=1000,
        description="LoRA+: the learning rate of the update's second half (B), of embeddings, too, is this many times "
        "learning_rate.",
    )

    @field_validator("rank_pattern", "alpha_pattern")
    @classmethod
    def _regular_expressions(cls, patterns: dict[str, float]) -> dict[str, float]:
        for pattern in patterns:
            try:
                refuse_bad_pattern(rf"(.*\.)?({pattern})$")
            except ValueError as error:
                raise ValueError(f'holds "{pattern}", which {error}') from None
        return patterns

    @field_validator("init_lora_weights")
    @classmethod
    def _no_dora_from_weights(cls, init: bool | str, others: ValidationInfo) -> bool | str:
        if init in ("pissa", "olora") and others.data.get("use_dora"):
            raise ValueError(f"is {init}, which cannot be saved with use_dora: take one of the two")
        return init

    def describe(self) -> str:
        """Return method, rank and targets."""
        ranks = " and ".join(map(str, dict.fromkeys((self.r, *self.rank_pattern.values()))))
        return f"{'DoRA' if self.use_dora else 'LoRA'}, rank {ranks} on {in_words(self.target_modules)}"

    def targets_in(self, modules: Modules) -> list[Target]:
        """Return the layers that get an update, then the modules trained whole."""
        targets = super().targets_in(modules)
        targets = in_layers(
            targets, _as_tuple(self.layers_to_transform), modules, where=self._at("layers_to_transform")
        )
        targets = without(targets, _as_tuple(self.exclude_modules), where=self._at("exclude_modules"))
        refuse_passed_over(targets, modules, where=self._at("target_modules"))
        refuse_unused(self.rank_pattern, targets, where=self._at("rank_pattern"))
        refuse_unused(self.alpha_pattern, targets, where=self._at("alpha_pattern"))
        if self.starts_from_weights:
            refuse_high_ranks(targets, self.rank_of, where=self._at("init_lora_weights"))
        whole = whole_modules(_as_tuple(self.modules_to_save), modules, targets, where=self._at("modules_to_save"))
        return [*targets, *whole]

    def num_trained(self, *, targets: Sequence[Target], sizes: Sizes, num_weights: int) -> int:
        """Return the weights of the updates and of whole modules; bias terms, which `bias` may add, do not count."""
        whole = sum(target.num_whole for target in targets)
        shapes = {
            module: shape
            for target in targets
            for module, shape in zip(target.modules, target.shapes, strict=not target.num_whole)
        }
        updates = (self.rank_of(module) * (inputs + outputs) for module, (inputs, outputs) in shapes.items())
        magnitudes = sum(outputs for _, outputs in shapes.values()) if self.use_dora else 0
        return whole + sum(updates) + magnitudes

    def rank_of(self, module: str) -> int:
        """Return the rank of the update of a module, by its full name."""
        pattern = first_pattern(self.rank_pattern, module)
        return self.r if pattern is None else self.rank_pattern[pattern]

    @property
    def starts_from_weights(self) -> bool:
        """True if the update starts as a part of the layer's own weight."""
        return self.init_lora_weights in ("pissa", "olora")

    @property
    def divides_by_outputs(self) -> bool:
        """True for DoRA, which divides by the norm of each output's weights."""
        return self.use_dora

    def _at(self, setting: str) -> str:
        return f"{self.section}.{setting}"


class QloraConfig(LoraConfig):
    """LoRA over a base model that is packed into 4 or 8 bits (QLoRA)."""

    section = "qlora"

    quantization: Quantization = Field(
        "nf4", description="How the base's linear layers are held in memory: in 4 bits (nf4) or in 8 (int8)."
    )

    @field_validator("init_lora_weights")
    @classmethod
    def _no_start_from_packed_weights(cls, init: bool | str) -> bool | str:
        if init in ("pissa", "olora"):
            raise ValueError(f"is {init}, which starts from weights that are not packed: take true or gaussian")
        return init

    def describe(self) -> str:
        """Return what LoRA does, and how the base is packed."""
        return f"{super().describe()}, over a base in {self.quantization}"

    def targets_in(self, modules: Modules) -> list[Target]:
        """Return the layers that get an update, then the modules trained whole: none of those that are packed."""
        targets = super().targets_in(modules)
        whole = (module for target in targets if target.num_whole for module in target.modules)
        if packed := [module for module in whole if module in modules.adaptable and role_of(module) != "embeddings"]:
            what = f"{packed[0]} is held in {self.quantization} and cannot itself be trained"
            raise AdapterError(what, where=self._at("modules_to_save"), expected="embeddings, head or norms")
        return targets

    @property
    def base_quantization(self) -> Quantization | None:
        """The chosen one."""
        return self.quantization


class SoftPromptConfig(AdapterConfig):
    """Trained embeddings in front of every prompt (prompt tuning)."""

    section = "soft_prompt"

    number_of_virtual_tokens: int = Field(
        64,
        ge=1,
        le=4096,
        description="Virtual tokens in front of every prompt.",
        json_schema_extra=marks(everyday=True, scale="log", unit="tokens"),
    )
    init_prompt: str | None = Field(
        None,
        description=(
            "Text whose embeddings the virtual tokens start from, repeated or cut to fit; null starts from "
            "random vocabulary."
        ),
    )

    def describe(self) -> str:
        """Return the number of virtual tokens."""
        return f"soft prompt, {counted(self.number_of_virtual_tokens, 'virtual token')}"

    def num_trained(self, *, targets: Sequence[Target], sizes: Sizes, num_weights: int) -> int:
        """Return the numbers of the virtual tokens' embeddings."""
        return self.number_of_virtual_tokens * sizes.hidden

    @property
    def num_positions(self) -> int:
        """One for each virtual token."""
        return self.number_of_virtual_tokens

    @property
    def initial_text(self) -> str | None:
        """The initial prompt."""
        return self.init_prompt


class PrefixTuningConfig(AdapterConfig):
    """Trained keys and values in front of every layer's own (prefix tuning)."""

    section = "prefix_tuning"

    number_of_virtual_tokens: int = Field(
        32,
        ge=1,
        le=4096,
        description="Positions of the prefix; real tokens come after them.",
        json_schema_extra=marks(everyday=True, scale="log", unit="positions"),
    )
    prefix_projection: bool = Field(
        False, description="Compute the prefix from vectors through a trained two-layer MLP; it is folded when saved."
    )
    encoder_hidden_size: int = Field(
        512, ge=1, le=65536, description="Hidden width of that MLP; without prefix_projection it has no effect."
    )

    def describe(self) -> str:
        """Return the number of positions, and the width of the projection."""
        through = f", through {self.encoder_hidden_size} hidden units" if self.prefix_projection else ""
        return f"prefix, {counted(self.number_of_virtual_tokens, 'position')}{through}"

    def num_trained(self, *, targets: Sequence[Target], sizes: Sizes, num_weights: int) -> int:
        """Return the numbers of the prefix, or of the vectors and the MLP that it is computed from."""
        numbers = 2 * sizes.layers * sizes.keys
        if not self.prefix_projection:
            return self.number_of_virtual_tokens * numbers
        hidden = self.encoder_hidden_size
        return self.number_of_virtual_tokens * sizes.keys + (sizes.keys + 1) * hidden + (hidden + 1) * numbers

    @property
    def num_positions(self) -> int:
        """One for each position of the prefix."""
        return self.number_of_virtual_tokens

    def remarks(self, given: Collection[str]) -> Iterator[str]:
        """Yield that the width of a projection has no effect without one."""
        if "encoder_hidden_size" in given and not self.prefix_projection:
            yield "prefix_tuning.encoder_hidden_size has no effect: prefix_projection is false."


class FullConfig(AdapterConfig):
    """Every weight of the base model: full fine-tuning."""

    section = "full"

    train_embeddings: bool = Field(
        True, description="Train the token embeddings, too, and a head that shares them; false leaves them as they are."
    )

    def describe(self) -> str:
        """Return the method, and what it leaves out."""
        return f"full fine-tuning{'' if self.train_embeddings else ', token embeddings left as they are'}"

    def num_trained(self, *, targets: Sequence[Target], sizes: Sizes, num_weights: int) -> int:
        """Return all weights, or all but the token embeddings."""
        return num_weights if self.train_embeddings else num_weights - sizes.vocabulary * sizes.hidden

    @property
    def trains_base(self) -> bool:
        """Always."""
        return True


def in_words(names: str | Sequence[str]) -> str:
    """Return requested targets as one text, such as ``q_proj, v_proj``."""
    return names if isinstance(names, str) else ", ".join(names)


_T = TypeVar("_T")


def _as_tuple(one_or_more: _T | tuple[_T, ...]) -> tuple[_T, ...]:
    return one_or_more if isinstance(one_or_more, tuple) else (one_or_more,)
