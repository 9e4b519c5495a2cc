"""(IA)³ through peft: factors on what layers put out, in an MLP on what they take in. Imports no torch by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from tunelab.adapters.config import AdapterConfig, in_words
from tunelab.errors import AdapterError
from tunelab.models.estimate import Sizes
from tunelab.models.layer_roles import Modules, Target, role_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tunelab.adapters.adapter import Adapter


class Ia3Config(AdapterConfig):
    """One factor for each output of a layer, in an MLP for each input: (IA)³."""

    section = "ia3"

    target_modules: str | tuple[str, ...] = Field(
        "all-linear", description="Layers by role (attention, mlp, all-linear) or by name; each must match."
    )

    def describe(self) -> str:
        """Return method and targets."""
        return f"(IA)³ on {in_words(self.target_modules)}"

    def targets_in(self, modules: Modules) -> list[Target]:
        """Return the layers that get factors; embeddings can get none."""
        targets = super().targets_in(modules)
        if found := [name for target in targets for name in target.modules if role_of(name) == "embeddings"]:
            what = f"{found[0]} is a table of embeddings, and (IA)³ has factors for linear layers alone"
            remedy = "Take it out of target_modules, or train it with lora."
            raise AdapterError(what, where=f"{self.section}.target_modules", remedy=remedy)
        return targets

    def num_trained(self, *, targets: Sequence[Target], sizes: Sizes, num_weights: int) -> int:
        """Return the number of factors."""
        pairs = [pair for target in targets for pair in zip(target.modules, target.shapes, strict=True)]
        return sum(inputs if role_of(name) == "mlp" else outputs for name, (inputs, outputs) in pairs)


def attach(network: PreTrainedModel, config: Ia3Config, *, base_model: str, seed: int, **_: object) -> Adapter:
    """Attach fresh factors, all of them 1, to `network`, in place."""
    import peft

    from tunelab.adapters.layer_adapter import attach_layers, peft_names
    from tunelab.models.network_layers import modules_of

    targets = config.targets_in(modules_of(network))
    modules = {module for target in targets for module in target.modules}
    inner = peft_names(network, {module for module in modules if role_of(module) == "mlp"})
    names = [*peft_names(network, modules), *inner]  # peft requires the inner ones among them
    settings = peft.IA3Config(task_type="CAUSAL_LM", target_modules=names, feedforward_modules=inner)
    return attach_layers(network, settings, targets, base_model=base_model, seed=seed, section=config.section)


def load(network: PreTrainedModel, folder: Path) -> Adapter:
    """Attach the factors saved in `folder`, ready to answer."""
    from tunelab.adapters.layer_adapter import load_layers

    return load_layers(network, folder)
