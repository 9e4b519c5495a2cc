"""A base larger than one card: each process holds a part of every layer, and the layer whole only while it runs.

FSDP2 gathers a layer before each pass through it and lets it go afterwards. All processes must therefore pass through
the network equally often, forwards and backwards; one that has nothing to do runs a token that weighs nothing.

One that runs out of memory would leave the others waiting for its part of the next layer. So before a layer is
gathered all say that they are well, and otherwise all give the step up at that layer.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from tunelab.adapters.adapter import Adapter
from tunelab.batching.forest import Forest
from tunelab.batching.step_plan import StepPlan
from tunelab.errors import ModelError, RunError
from tunelab.models.loaded_model import LoadedModel
from tunelab.training.forest_root import Root, run_root
from tunelab.training.process_group import lost_if_it_fails
from tunelab.training.world import World

_CAN_GIVE_UP = hasattr(FSDPModule, "reset_iter_state")  # from torch 2.13 on


class OutOfMemoryElsewhereError(torch.OutOfMemoryError):
    """Another process has no memory for its share of the step; every process knows it."""


def shard(model: LoadedModel, adapter: Adapter, world: World) -> None:
    """Split the frozen weights of the layers of `model` over the processes of `world`, in place.

    The adapter's weights, embeddings, head and norms stay whole in every process: gradients, checkpoints and adapter
    folders are then those of a run that shards nothing.

    Raises:
        ModelError: the model does not say what its layers are.
    """
    network = model.network
    names = set(network._no_split_modules or ())
    layers = [module for module in network.modules() if type(module).__name__ in names]
    if not layers:
        remedy = "Train it without training.fsdp."
        raise ModelError("this model does not say what its layers are", where=str(model.folder), remedy=remedy)
    mesh = init_device_mesh(model.device.type, (world.size,))
    trained = set(adapter.named_parameters().values())
    for layer in layers:
        fully_shard(layer, mesh=mesh, ignored_params=trained)
        if _CAN_GIVE_UP:
            layer.set_custom_all_gather(_Agreed(world))
    inside = {weight for layer in layers for weight in layer.parameters()}
    fully_shard(network, mesh=mesh, ignored_params=trained | (set(network.parameters()) - inside))
    network.to(model.device)
    for weight in trained:  # those of a soft prompt or a prefix are no part of the network
        weight.data = weight.data.to(model.device)


def is_sharded(network: PreTrainedModel) -> bool:
    """Tell whether processes must pass through `network` equally often."""
    return isinstance(network, FSDPModule)


def give_up_passes(network: PreTrainedModel) -> None:
    """Forget the passes through `network` that an error ended halfway; a network that is not sharded has none.

    Raises:
        RunError: this torch cannot; other processes find this one gone.
    """
    if isinstance(network, FSDPModule):
        if not _CAN_GIVE_UP:
            remedy = "Lower batching.micro_batch_tokens; torch 2.13 would begin the step again with half of it."
            raise RunError("the device has no memory for a micro-batch", where="training", remedy=remedy)
        network.reset_iter_state()


def frozen_bytes_here(network: PreTrainedModel) -> int:
    """Return how many bytes of frozen weights this process holds."""
    frozen = [weight for weight in network.parameters() if not weight.requires_grad]
    return sum(weight.to_local().nbytes if isinstance(weight, DTensor) else weight.nbytes for weight in frozen)


def keep_pace(network: PreTrainedModel, plan: StepPlan, world: World) -> tuple[StepPlan, bool]:
    """Return a share of a step, and whether it needs a spare root, such that all processes pass equally often.

    Shares of a network that is not sharded stay as they are.
    """
    if not is_sharded(network):
        return plan, False
    shares = world.gather(len(plan.forests), len(plan.root_ids_R))
    fillers = int(max(forests for forests, _ in shares)) - len(plan.forests)
    lacks_root = not len(plan.root_ids_R) and any(length for _, length in shares)
    return replace(plan, forests=(*plan.forests, *[_FILLER] * fillers)), lacks_root


@contextmanager
def last_layer_gathered(network: PreTrainedModel) -> Iterator[None]:
    """Hold the last layer of a sharded network whole while a root is sent back through it.

    A pass backwards gathers a layer when it meets the layer's output, and in the last one nothing came of a root's.
    """
    layers = [module for module in network.modules() if isinstance(module, FSDPModule)]
    if layers:
        layers[-1].unshard()
    yield
    if layers:
        layers[-1].reshard()


def spare_root(network: PreTrainedModel, adapter: Adapter) -> Root:
    """Return a root that no token attends to and whose backward pass sends zeros, for a process that has none."""
    root = run_root(network, adapter, np.zeros(1, dtype=np.int32))
    for leaf in (leaf for pair in root.layers.values() for leaf in pair if leaf.requires_grad):
        leaf.grad = torch.zeros_like(leaf)
    return root


class _Agreed:
    """How a layer is gathered: once every process has said that it gets there.

    One that ran out of memory says so in the very exchange in which the others say that they are well.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def allocate(self, size: Sequence[int], *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return torch.empty(*size, dtype=dtype, device=device)

    def __call__(
        self, output_tensor: torch.Tensor, input_tensor: torch.Tensor, group: dist.ProcessGroup, async_op: bool = False
    ) -> dist.Work | None:
        if any(has_failed for _, has_failed in self._world.gather(0.0, False)):
            raise OutOfMemoryElsewhereError("another process has no memory")
        with lost_if_it_fails("a layer could not be gathered"):
            work: dist.Work | None = dist.all_gather_single(output_tensor, input_tensor, group, async_op)
        return work


_NONE, _FIRST = np.zeros(0, dtype=np.int32), np.zeros(1, dtype=np.int32)
_FILLER = Forest(
    token_ids_N=_FIRST,
    depths_N=_FIRST,
    subtree_ends_N=_FIRST + 1,
    segment_starts_S=_FIRST,
    sources_M=_NONE,
    targets_M=_NONE,
    weights_M=np.zeros(0, dtype=np.float32),
    num_real_tokens=0,
)
