"""A run's adapter in stock transformers and peft, without tunelab: the same logits.

    python examples/load_with_peft.py runs/recipe_lora-20261121-120000

The prompt is tokenized by tunelab here, so that both sides see the same ids; transformers' own `apply_chat_template`
gives the same ones. Of a run that trained all weights, the folder is a model of its own: transformers alone loads it.
"""

import argparse
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, DynamicCache, PreTrainedModel

from tunelab.conversations import Message
from tunelab.flows.subject import Subject, open_run
from tunelab.models.quantized import quantized_by
from tunelab.workspace import Run


def main(arguments: list[str] | None = None) -> float:
    """Print and return the largest difference between the logits of tunelab and those of stock peft."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--prompt", default="How do I keep a Yucca alive?")
    options = parser.parse_args(arguments)

    run = Run(path=options.run.resolve())
    opened = open_run(run)
    ids = torch.tensor(opened.renderer.prompt_ids([Message(role="user", content=options.prompt)], ())).long()[None]
    network, adapter = opened.model.network, opened.adapter
    with torch.inference_mode():
        virtual = adapter.virtual_embeddings()[None]  # no rows, unless the adapter is a soft prompt
        inputs = torch.cat([virtual, network.get_input_embeddings()(ids)], dim=1)
        cache = DynamicCache(config=network.config)
        for layer, (keys, values) in enumerate(adapter.prefix_keys_values()):  # none, unless it is a prefix
            cache.update(keys, values, layer)
        ours = network(inputs_embeds=inputs, past_key_values=cache, use_cache=True).logits[:, virtual.shape[1] :]

        theirs = stock(opened, run.adapter)(input_ids=ids).logits[:, -ids.shape[1] :]

    difference = float((ours - theirs).abs().max())
    print(f"{ids.shape[1]} prompt tokens, {theirs.shape[-1]:,} logits each: they differ by {difference:.1e} at most")
    return difference


def stock(opened: Subject, folder: Path) -> PreTrainedModel | PeftModel:
    """Return what stock libraries make of the folder of a run's adapter."""
    if opened.recipe.adapter.trains_base:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    packed = {}
    if quantization := opened.recipe.adapter.base_quantization:  # QLoRA: over a base that is packed in the same way
        packed = {"quantization_config": quantized_by(quantization, torch.float32)}
    base = AutoModelForCausalLM.from_pretrained(opened.model.folder, dtype=torch.float32, **packed)
    return PeftModel.from_pretrained(base, folder)


if __name__ == "__main__":
    main()
