"""The training loop in one function: what `tunelab train` does, without checkpoints, events and evaluation.

    python examples/flat_training_loop.py --steps 12 --out gardener

Letters in comments: N nodes of a forest (tokens that are run), M trained nodes.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from tunelab.adapters.attach import attach
from tunelab.adapters.config import LoraConfig
from tunelab.batching.config import BatchingConfig
from tunelab.batching.schedule import Schedule
from tunelab.batching.step_plan import plan_step
from tunelab.conversations import ConversationConfig, read_conversations
from tunelab.files import new_folder
from tunelab.models.branching import training_attention
from tunelab.models.config import ModelConfig
from tunelab.models.load_model import load_model
from tunelab.models.locate_model import locate_model
from tunelab.rendering.bulk.render_all import render_all
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.load_renderer import load_renderer
from tunelab.sources import SourceConfig, locate_data, read_rows
from tunelab.training.forest_root import run_root
from tunelab.training.forward import forest_loss

HERE = Path(__file__).parent


def main(arguments: list[str] | None = None) -> list[float]:
    """Train a small LoRA adapter on the gardener's answers and return the loss of each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano", help="nano, a folder, or a Hub id")
    parser.add_argument("--steps", type=int, default=12, help="optimizer steps")
    parser.add_argument("--out", type=Path, default=Path("gardener"), help="folder of the finished adapter")
    options = parser.parse_args(arguments)

    # 1. Rows become conversations: the one form that everything after reads.
    files = locate_data(SourceConfig(data_dir="data", train_files=("train.json",)), base=HERE)
    conversations = read_conversations(read_rows(files.train), ConversationConfig(), base=HERE)
    print(conversations.evidence)

    # 2. Conversations become token ids: a prompt, which is what serving would send, and a completion, which is trained.
    model_config = ModelConfig(base_model=options.model)
    folder = locate_model(model_config, base=Path.cwd())
    renderer = load_renderer(folder, RenderingConfig(), base=HERE)
    rendered = render_all(conversations.items, renderer, max_length=256)
    first = rendered.sequences[0]
    print(f"the prompt:    {renderer.decode(first.prompt_ids)!r}")
    print(f"is trained on: {renderer.decode(first.completion_ids)!r}")

    # 3. A frozen base, and an adapter on it. Only the adapter's weights are trained.
    model = load_model(folder, model_config)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules="attention")
    adapter = attach(model.network, lora, init_ids=np.zeros(0, np.int32), base_model=options.model, seed=42)
    weights = list(adapter.named_parameters().values())
    for line in adapter.description:
        print(line)

    # 4. The order of the data: a function of data, settings and seed, so that step 7 is known without step 6.
    schedule = Schedule(
        rendered.sequences,
        BatchingConfig(),
        batch_size=4,
        accumulation=2,
        max_length=256,
        num_epochs=1,
        num_steps=options.steps,
        seed=42,
    )
    optimizer = torch.optim.AdamW(weights, lr=2e-3, betas=(0.9, 0.95))

    # 5. The loop. The base stays in eval mode: its own dropout, if it has any, is off, as it will be when it serves.
    losses = []
    with training_attention(model.network):
        for number in range(schedule.total_steps):
            # Forests hold the tokens of a step, each shared one once: here the system prompt.
            chosen = [rendered.sequences[index] for batch in schedule.step(number).batches for index in batch]
            plan = plan_step(chosen, micro_batch_tokens=400)
            root = run_root(model.network, adapter, plan.root_ids_R)
            # The step's mean is over all its trained tokens, so that cutting it into micro-batches changes nothing.
            total = 0.0
            for forest in plan.forests:
                loss = forest_loss(model.network, adapter, forest, root) / plan.num_trained  # M losses summed
                loss.backward()
                total += loss.item()
            root.backward()  # what the micro-batches sent to the root goes through it once
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(total)
            print(f"step {number + 1}  loss {total:.4f}  {plan.num_real_tokens} tokens, {plan.num_nodes} of them run")

    # 6. A folder that stock peft loads. It is written aside and renamed: it is whole, or it is not there.
    with new_folder(options.out) as aside:
        adapter.save(aside)
    print(f"adapter in {options.out}")
    return losses


if __name__ == "__main__":
    main()
