"""Small networks and sequences that tests of several rooms build on the spot."""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PretrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)
from transformers.cache_utils import DynamicCache

from tunelab.adapters.adapter import Adapter
from tunelab.batching.step_plan import StepPlan
from tunelab.models.branching import training_attention
from tunelab.rendering.rendered import Rendered
from tunelab.sources.row import Origin
from tunelab.training.forest_root import run_root
from tunelab.training.forward import forest_loss

_SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

FAMILIES: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**_SIZES),
    "phi3": Phi3Config(**_SIZES),
    "qwen3": Qwen3Config(**_SIZES, head_dim=8),
    "mistral": MistralConfig(**_SIZES, sliding_window=4),
    "gemma3": Gemma3TextConfig(**_SIZES, head_dim=8, sliding_window=4),
    "gpt2": GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=2),
}


def tiny_network(family: str = "llama", *, dtype: torch.dtype = torch.float32, seed: int = 0) -> PreTrainedModel:
    """Return a frozen random network of a few thousand weights."""
    torch.manual_seed(seed)
    network = AutoModelForCausalLM.from_config(FAMILIES[family], attn_implementation="sdpa").to(dtype)
    return network.requires_grad_(False).eval()


def sequence(prompt: Sequence[int], completion: Sequence[int], *, conversation: int = 0, group: str = "") -> Rendered:
    """Return a rendered sequence of given ids."""
    return Rendered(
        prompt_ids=np.array(prompt, dtype=np.int32),
        completion_ids=np.array(completion, dtype=np.int32),
        origin=Origin(path="made.jsonl", line=conversation + 1),
        conversation=conversation,
        turn=1,
        group=group or f"made:{conversation}",
    )


def run_plan(network: PreTrainedModel, adapter: Adapter, plan: StepPlan) -> float:
    """Return the summed loss of a step over its micro-batches; the weights of `adapter` hold its gradients."""
    total = 0.0
    for weight in adapter.named_parameters().values():
        weight.grad = None
    with training_attention(network):
        root = run_root(network, adapter, plan.root_ids_R)
        for forest in plan.forests:
            loss = forest_loss(network, adapter, forest, root)
            loss.backward()
            total += float(loss.detach())
        root.backward()
    return total


def padded_unshared_loss(network: PreTrainedModel, adapter: Adapter, sequences: Sequence[Rendered]) -> torch.Tensor:
    """Return the summed loss of stock code: one padded row per sequence, stock attention, loss on completions only."""
    virtual, longest = adapter.num_virtual_tokens, max(each.num_tokens for each in sequences)
    before = adapter.num_prefix_positions
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    labels = torch.full((len(sequences), virtual + longest), -100)
    mask = torch.zeros(len(sequences), before + virtual + longest, dtype=torch.long)
    for row, each in enumerate(sequences):
        tokens = torch.from_numpy(np.concatenate([each.prompt_ids, each.completion_ids])).long()
        ids[row, : len(tokens)] = tokens
        labels[row, virtual + len(each.prompt_ids) : virtual + len(tokens)] = tokens[len(each.prompt_ids) :]
        mask[row, : before + virtual + len(tokens)] = 1
    embeddings = network.get_input_embeddings()(ids)
    prefix = adapter.virtual_embeddings().to(embeddings.dtype)[None].expand(len(sequences), -1, -1)
    embeddings = torch.cat([prefix, embeddings], dim=1)
    cache = DynamicCache(config=network.config)
    for layer, pair in enumerate(adapter.prefix_keys_values()):
        cache.update(*(each.to(embeddings.dtype).expand(len(sequences), -1, -1, -1) for each in pair), layer)
    logits = network(inputs_embeds=embeddings, attention_mask=mask, past_key_values=cache, use_cache=True).logits
    return torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum"
    )
