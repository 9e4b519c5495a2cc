"""Full fine-tuning: every weight of the base model is trained, and saved as a model folder of its own."""

import copy
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter, no_virtual_embeddings
from tunelab.adapters.config import FullConfig
from tunelab.errors import AdapterError, counted
from tunelab.files import write_file

_TOKENIZER_FILES = ("*token*", "chat_template*", "vocab.json", "merges.txt")


class FullAdapter(Adapter):
    """Weights of the network itself. The base's lie in main memory, and take their place while it is switched off."""

    num_virtual_tokens = 0
    num_prefix_positions = 0

    def __init__(
        self, network: PreTrainedModel, switched_off: dict[str, torch.Tensor], *, holds_base: bool = False
    ) -> None:
        self._network, self._switched_off = network, switched_off
        self._of_base = set(switched_off) if holds_base else set()
        """Names of the weights that are the base's in the network at this moment."""

    @property
    def description(self) -> tuple[str, ...]:
        """One line with the number of tensors."""
        kept = "in float32; the base's are kept, to switch back to"
        return (f"all weights of {len(self._switched_off)} tensors, {kept}",)

    def named_parameters(self) -> dict[str, torch.nn.Parameter]:
        """Return the trained weights by name, sorted."""
        return {name: weight for name, weight in sorted(self._network.named_parameters()) if name in self._switched_off}

    def virtual_embeddings(self) -> torch.Tensor:
        """Return (0, hidden): nothing comes before a prompt."""
        return no_virtual_embeddings(self._network)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Let the network answer as the base model within the context."""
        try:
            self.hold(base=True)
            yield
        finally:
            self.hold(base=False)

    def hold(self, *, base: bool) -> None:
        """Put the base's weights into the network or the trained ones; the others stay in main memory.

        Interrupted, as by Ctrl+C, it goes on where it was when it is next called.
        """
        for name, weight in self.named_parameters().items():
            if (name in self._of_base) != base:
                outgoing, incoming = weight.data.cpu(), self._switched_off[name].to(weight)
                weight.data, self._switched_off[name] = incoming, outgoing
                self._of_base ^= {name}

    def save(self, folder: Path) -> None:
        """Write a model folder that transformers loads, with the tokenizer of the base, into an existing folder."""
        self._network.save_pretrained(folder, max_shard_size="1TB")  # one file
        shutil.copymode(folder / "config.json", folder / "model.safetensors")  # safetensors lets the owner alone read
        if source := self._network.name_or_path:
            files = {file for pattern in _TOKENIZER_FILES for file in Path(source).glob(pattern) if file.is_file()}
            for file in sorted(files):
                write_file(folder / file.name, file.read_bytes())


def attach(network: PreTrainedModel, config: FullConfig, **_: object) -> Adapter:
    """Let every weight of `network` be trained, in float32: small updates vanish in half precision."""
    frozen = None if config.train_embeddings else network.get_input_embeddings().weight
    trained = {name: weight for name, weight in network.named_parameters() if weight is not frozen}
    base = {name: weight.detach().to("cpu", copy=True) for name, weight in trained.items()}
    network.float()
    for weight in trained.values():
        weight.requires_grad_(True)
    return FullAdapter(network, base)


def load(network: PreTrainedModel, folder: Path) -> Adapter:
    """Put the weights saved in `folder` into `network`, ready to answer, in float32 as they were trained."""
    network.float()
    remedy = "Use the base model that it was trained from."
    try:
        trained, found = type(network).from_pretrained(
            folder,
            config=copy.deepcopy(network.config),
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise AdapterError(
            f"the trained model does not load: {first_line}", where=str(folder), remedy=remedy
        ) from error
    if missing := sorted(found["missing_keys"]):
        what = f"the trained model lacks {counted(len(missing), 'tensor')}, the first of them {missing[0]}"
        raise AdapterError(what, where=str(folder), remedy=remedy)
    weights = {name: weight.data for name, weight in trained.named_parameters()}
    adapter = FullAdapter(network, weights, holds_base=True)
    adapter.hold(base=False)
    return adapter
