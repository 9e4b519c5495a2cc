"""LoRA, rsLoRA and DoRA through peft, on layers found by role or name; and what other methods of peft share with it."""

import warnings
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path

import peft
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from tunelab.adapters.config import LoraConfig
from tunelab.adapters.lora_linear import LoraLinear
from tunelab.adapters.peft_folder import read_peft_folder, write_peft_folder
from tunelab.errors import AdapterError
from tunelab.models.layers import find_targets
from tunelab.models.requested_targets import Target
from tunelab.models.zero_outputs import zero_outputs_in_words


class LayerAdapter:
    """Trained weights that peft put around layers of a network: those of LoRA, or of another of its methods."""

    num_virtual_tokens = 0
    num_prefix_positions = 0

    def __init__(self, wrapped: peft.PeftModel, targets: Sequence[Target] = ()) -> None:
        self._wrapped = wrapped
        self._targets = tuple(targets)

    @property
    def description(self) -> tuple[str, ...]:
        """What each wish of the recipe matched; empty for an adapter read from a folder."""
        return tuple(target.in_words for target in self._targets)

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the trained weights by name, sorted."""
        return {name: weight for name, weight in sorted(self._wrapped.named_parameters()) if weight.requires_grad}

    def virtual_embeddings(self) -> torch.Tensor:
        """Return (0, hidden): nothing stands in front of a prompt."""
        embeddings: torch.Tensor = self._wrapped.get_input_embeddings().weight
        return embeddings.new_zeros((0, embeddings.shape[1]))

    def prefix_keys_values(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return nothing: no keys and values are added."""
        return []

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Let the network answer as the base model within the context."""
        with self._wrapped.disable_adapter():
            yield

    def save(self, folder: Path) -> None:
        """Write adapter_config.json and adapter_model.safetensors into an existing folder."""
        weights = peft.get_peft_model_state_dict(self._wrapped, save_embedding_layers=False)
        write_peft_folder(folder, self._wrapped.peft_config["default"], weights)


def attach(network: PreTrainedModel, config: LoraConfig, *, base_model: str, seed: int, **_: object) -> LayerAdapter:
    """Attach a fresh LoRA adapter to `network`, in place; its initial weights depend on `seed` alone.

    Raises:
        AdapterError: a target matches no layer, a setting does not fit the layers, or DoRA would divide by zero.
    """
    targets = find_targets(network, config.target_modules, where=f"{config.section}.target_modules")
    settings = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=config.r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        bias=config.bias,
        use_rslora=config.use_rslora,
        use_dora=config.use_dora,
        target_modules=peft_names(network, {module for target in targets for module in target.modules}),
    )
    if all(type(module) is torch.nn.Linear for module in _modules(network, targets)):
        settings._register_custom_module({torch.nn.Linear: LoraLinear})
    adapter = attach_layers(network, settings, targets, base_model=base_model, seed=seed, section=config.section)
    if config.use_dora:
        _refuse_to_divide_by_zero(network, targets, config.section)
    return adapter


def attach_layers(
    network: PreTrainedModel,
    settings: peft.PeftConfig,
    targets: Sequence[Target],
    *,
    base_model: str,
    seed: int,
    section: str,
) -> LayerAdapter:
    """Let peft put its layers around those of `network` that `targets` matched.

    Raises:
        AdapterError: peft has none for such a layer, or would put them around others than asked.
    """
    where = f"{section}.target_modules"
    settings.fan_in_fan_out = any(isinstance(module, Conv1D) for module in network.modules())  # as GPT-2 stores them
    with torch.random.fork_rng(), quiet_peft():
        torch.manual_seed(seed)
        try:
            wrapped = peft.get_peft_model(network, settings, autocast_adapter_dtype=True)
        except ValueError as error:
            remedy = "Name other layers, or one of the roles attention, mlp and all-linear."
            raise AdapterError(f"peft refuses these layers: {error}", where=where, remedy=remedy) from error
    _refuse_if_passed_over(network, targets, where)
    settings.base_model_name_or_path = base_model  # peft writes the network's own path, a folder of this machine
    return LayerAdapter(wrapped, targets)


def load(network: PreTrainedModel, folder: Path) -> LayerAdapter:
    """Attach the adapter saved in `folder`, ready to answer."""
    read_peft_folder(folder)  # tells in our words what peft would search the Hub for, or choke on
    try:
        with quiet_peft():
            wrapped = peft.PeftModel.from_pretrained(network, str(folder), is_trainable=True, use_safetensors=True)
    except (RuntimeError, ValueError, KeyError) as error:
        remedy = "Use the base model that adapter_config.json names."
        first_line = str(error).strip().splitlines()[0]
        raise AdapterError(
            f"the adapter does not fit this base model: {first_line}", where=str(folder), remedy=remedy
        ) from error
    wrapped.eval()
    return LayerAdapter(wrapped)


def _refuse_if_passed_over(network: PreTrainedModel, targets: Sequence[Target], where: str) -> None:
    """Raise an AdapterError where peft wrapped other modules than asked: it rewrites the names of fused experts."""
    wrapped = {name for name, module in network.named_modules() if isinstance(module, BaseTunerLayer)}
    passed_over = [module for target in targets for module in target.modules if module not in wrapped]
    if passed_over:
        names = ", ".join(sorted({module.rsplit(".", 1)[-1] for module in passed_over}))
        reached = sorted({name for target in targets for name in target.names} - set(names.split(", ")))
        raise AdapterError(
            f"peft takes {names} of this model for parts of its fused experts and would not train {passed_over[0]}",
            where=where,
            remedy=f"Name the other layers: [{', '.join(reached)}].",
        )


def _refuse_to_divide_by_zero(network: PreTrainedModel, targets: Sequence[Target], section: str) -> None:
    """Raise an AdapterError where an output of a layer has only zero weights: DoRA gives 0/0 there, in peft as well."""
    counts = {}
    for name in dict.fromkeys(module for target in targets for module in target.modules):
        magnitudes: torch.Tensor = network.get_submodule(name).lora_magnitude_vector["default"].weight
        counts[name] = (int((magnitudes == 0).sum()), magnitudes.numel())
    what, remedy = zero_outputs_in_words(counts, section=section)
    if what:
        raise AdapterError(what, where=f"{section}.use_dora", remedy=remedy)


def peft_names(network: PreTrainedModel, wanted: Set[str]) -> list[str]:
    """Return short names, which every engine understands, where they select just what is wanted; full names else."""
    short = sorted({name.rsplit(".", 1)[-1] for name in wanted})
    reached = {name for name, _ in network.named_modules() if name in short or name.rsplit(".", 1)[-1] in short}
    return short if reached == wanted else sorted(wanted)


@contextmanager
def quiet_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by a name that is going away; nothing a user could mend.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        # Told as a refusal, with the names that work.
        warnings.filterwarnings("ignore", message=".*did not match any targeted module.*", category=RuntimeWarning)
        yield


def _modules(network: PreTrainedModel, targets: Sequence[Target]) -> list[torch.nn.Module]:
    return [network.get_submodule(module) for target in targets for module in target.modules]
