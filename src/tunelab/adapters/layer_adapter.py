"""What peft puts around layers of a network, whichever of its methods: attached, switched off, saved and read again."""

import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from pathlib import Path

import peft
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from tunelab.adapters.adapter import Adapter, no_virtual_embeddings
from tunelab.adapters.lora_start import saved_as_lora
from tunelab.adapters.lora_targets import passed_over_error
from tunelab.adapters.peft_folder import read_peft_folder, write_peft_folder
from tunelab.adapters.whole_modules import load_in_float32
from tunelab.errors import AdapterError
from tunelab.models.layer_roles import Target


class LayerAdapter(Adapter):
    """Trained weights that peft put around layers of a network: those of LoRA, or of another of its methods."""

    num_virtual_tokens = 0
    num_prefix_positions = 0

    def __init__(
        self,
        wrapped: peft.PeftModel,
        biases: Mapping[torch.nn.Parameter, torch.Tensor],
        targets: Sequence[Target] = (),
        *,
        rate_ratio: float = 1.0,
    ) -> None:
        self._wrapped, self._targets, self._rate_ratio = wrapped, tuple(targets), rate_ratio
        # Bias terms are trained in place: what the base had for them comes back while the adapter is switched off.
        self._biases = {weight: value for weight, value in biases.items() if weight.requires_grad}

    @property
    def description(self) -> tuple[str, ...]:
        """What each requested target of the recipe matched; empty for an adapter read from a folder."""
        return tuple(target.in_words for target in self._targets)

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the trained weights by name, sorted."""
        return {name: weight for name, weight in sorted(self._wrapped.named_parameters()) if weight.requires_grad}

    def learning_rate_factors(self) -> dict[str, float]:
        """Return LoRA+'s ratio for the B of each update, and for biases and magnitudes, as peft's optimizer has it."""
        names = (
            name
            for name, weight in self.named_parameters().items()
            if "lora_B" in name or "lora_embedding_B" in name or weight.ndim == 1
        )
        return dict.fromkeys(names, self._rate_ratio)

    def virtual_embeddings(self) -> torch.Tensor:
        """Return (0, hidden)."""
        return no_virtual_embeddings(self._wrapped)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Let the network answer as the base model within the context."""
        with ExitStack() as off:
            with quiet_peft():
                off.enter_context(self._wrapped.disable_adapter())
            off.enter_context(_exchanged(self._biases))
            yield

    def save(self, folder: Path) -> None:
        """Write adapter_config.json and adapter_model.safetensors into an existing folder."""
        named = peft.get_peft_model_state_dict(self._wrapped, save_embedding_layers=False)
        # With bias: all, peft names the biases of whole modules twice. Tied weights are written under both names.
        weights = {name: weight.clone() for name, weight in named.items() if ".modules_to_save." not in name}
        write_peft_folder(folder, *saved_as_lora(self._wrapped, self._wrapped.peft_config["default"], weights))


def attach_layers(
    network: PreTrainedModel,
    settings: peft.PeftConfig,
    targets: Sequence[Target],
    *,
    base_model: str,
    seed: int,
    section: str,
    rate_ratio: float = 1.0,
) -> LayerAdapter:
    """Let peft put its layers around those of `network` that `targets` matched.

    Raises:
        AdapterError: peft has none for such a layer, or would put them around others than requested.
    """
    where = f"{section}.target_modules"
    settings.fan_in_fan_out = any(isinstance(module, Conv1D) for module in network.modules())  # as GPT-2 stores them
    biases = _biases_of(network)
    with torch.random.fork_rng(), quiet_peft():
        torch.manual_seed(seed)
        try:
            wrapped = peft.get_peft_model(network, settings, autocast_adapter_dtype=True)
        except ValueError as error:
            remedy = "Name other layers, or one of the roles attention, mlp and all-linear."
            raise AdapterError(f"peft refuses these layers: {error}", where=where, remedy=remedy) from error
    _refuse_if_passed_over(network, [target for target in targets if not target.num_whole], where)
    settings.base_model_name_or_path = base_model  # peft writes the network's own path, a folder of this machine
    return LayerAdapter(wrapped, biases, targets, rate_ratio=rate_ratio)


def load_layers(network: PreTrainedModel, folder: Path) -> LayerAdapter:
    """Attach the adapter saved in `folder`, ready to answer."""
    biases = _biases_of(network)
    _, saved = read_peft_folder(folder)  # reports in our words what peft would search the Hub for, or choke on
    try:
        with quiet_peft():
            wrapped = peft.PeftModel.from_pretrained(network, str(folder), is_trainable=True, use_safetensors=True)
    except (RuntimeError, ValueError, KeyError) as error:
        remedy = "Use the base model that adapter_config.json names."
        first_line = str(error).strip().splitlines()[0]
        raise AdapterError(
            f"the adapter does not fit this base model: {first_line}", where=str(folder), remedy=remedy
        ) from error
    load_in_float32(network, saved)
    wrapped.eval()
    return LayerAdapter(wrapped, biases)


def _refuse_if_passed_over(network: PreTrainedModel, targets: Sequence[Target], where: str) -> None:
    """Raise an AdapterError where peft wrapped other modules than requested: it rewrites the names of fused experts."""
    wrapped = {name for name, module in network.named_modules() if isinstance(module, BaseTunerLayer)}
    passed_over = [module for target in targets for module in target.modules if module not in wrapped]
    if passed_over:
        raise passed_over_error(passed_over, targets, where=where)


def peft_names(network: PreTrainedModel, wanted: Set[str], *, dot: str = ".") -> list[str]:
    """Return short names, which every engine understands, where they select just what is wanted; full names else.

    peft takes the modules whose names end in a target with a `dot` before it, or in one of those to save without.
    """
    short = sorted({name.rpartition(".")[2] for name in wanted})
    ends = tuple(dot + name for name in short)
    reached = {name for name, _ in network.named_modules() if f"{dot}{name}".endswith(ends)}
    return short if reached == wanted else sorted(wanted)


def _biases_of(network: PreTrainedModel) -> dict[torch.nn.Parameter, torch.Tensor]:
    """Return copies of the bias terms of the base: few numbers, and all of the base that peft may train in place."""
    named = network.named_parameters()
    return {weight: weight.detach().clone() for name, weight in named if name.rpartition(".")[2] == "bias"}


@contextmanager
def _exchanged(values: Mapping[torch.nn.Parameter, torch.Tensor]) -> Iterator[None]:
    """Put other values into some weights within the context."""
    previous = {weight: weight.data for weight in values}
    try:
        for weight, value in values.items():
            weight.data = value.to(weight.device)
        yield
    finally:
        for weight, value in previous.items():
            weight.data = value


@contextmanager
def quiet_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        # peft 0.21 calls transformers 5.23 by a name that is going away; nothing a user could fix.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        # Reported as a refusal, with the names that work.
        warnings.filterwarnings("ignore", message=".*did not match any targeted module.*", category=RuntimeWarning)
        # Tied weights stay tied here, and biases of the base come back: peft knows of neither.
        warnings.filterwarnings("ignore", message="Careful, disabling adapter layers with bias", category=UserWarning)
        warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`", category=UserWarning)
        yield
