"""From JSONL to token ids, masks and batches, against TRL: `python benchmarks/data_to_batch.py --conversations N`.

Both sides get the same made-up conversations of 8 questions and 8 answers, the same tokenizer (that of the embedded
model) and a ChatML template. They run in turn, each in a process of its own; imports are not measured. Seconds are
those of the processor, which hold on a busy machine. TRL is measured in both of its modes:

- "per answer": a row of prompt and completion for each answer, which are the sequences that tunelab makes; the ids and
  masks of all rows are compared, token by token;
- "per conversation": one row with all answers marked by `{% generation %}`, which only fits templates that write the
  history as they wrote the answers; the ids are compared with those of the last answer, the masks with those of all.

The words are those of the README, about 330, so tunelab soon knows them all; text with more different words gains less.
TRL keeps the newline behind an answer, tunelab does not; otherwise ids and masks are the same. The ratio is that of the
median times for one conversation. The last line says what conversations of 80 turns cost against those of 40.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "src" / "tunelab" / "starter" / "nano"
WORDS = ROOT / "README.md"
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}{% if message.role == 'assistant' %}"
    "{% generation %}{{ message.content + '<|im_end|>' }}{% endgeneration %}{% else %}"
    "{{ message.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MAX_LENGTH = 4096
BATCH = 8


def main() -> None:
    """Parse the command line, run the rounds, print the table; or play one side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=20_000, help="that tunelab reads")
    parser.add_argument("--peer", type=int, default=2_000, help="that TRL reads, the first of the same")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(SIDES[arguments.side](arguments)))
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder = Path(folder)
        write_conversations(arguments.folder / "all.jsonl", arguments.conversations)
        write_conversations(arguments.folder / "peer.jsonl", min(arguments.peer, arguments.conversations))
        (arguments.folder / "chatml.jinja").write_text(TEMPLATE)
        compare(arguments)


def compare(arguments: argparse.Namespace) -> None:
    """Run all sides in turn and print each round, the medians and the ratios."""
    names = ("tokenizers", "transformers", "trl", "datasets", "jinja2")
    print(f"{os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}, one thread,")
    print(", ".join(f"{name} {version(name)}" for name in names))
    sides = ("tunelab", "trl per answer", "trl per conversation")
    times: dict[str, list[float]] = {side: [] for side in sides}
    facts: dict[str, dict[str, Any]] = {}
    print(f"{'':10}" + "".join(f"{side:>32}" for side in sides))
    for round_ in range(1, arguments.rounds + 1):
        row = f"round {round_:<4}"
        for side in sides:
            facts[side] = run(side, arguments)
            times[side].append(facts[side]["seconds"] / facts[side]["conversations"])
            row += f"{facts[side]['seconds']:14.2f} s {1000 * times[side][-1]:10.3f} ms/row"
        print(row, flush=True)
    medians = {side: statistics.median(times[side]) for side in sides}
    print("median    " + "".join(f"{1000 * medians[side]:24.3f} ms/row " for side in sides))
    for side in sides[1:]:
        print(f"{side}: {medians[side] / medians['tunelab']:.1f} times the time of tunelab")
    print(f"stages of tunelab: {', '.join(f'{name} {s:.2f} s' for name, s in facts['tunelab']['stages'].items())}")
    print(f"sequences with equal ids and masks: {run('compare', arguments)['equal']}")
    print(f"rendering 80 turns takes {run('turns', arguments)['ratio']:.2f} times as long as 40")


def run(side: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one side in a process of its own and return what it wrote."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(arguments.folder / "hub"),
    }
    command = [sys.executable, __file__, "--side", side, "--folder", str(arguments.folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def write_conversations(file: Path, count: int) -> None:
    """Write conversations of 8 turns, the same for the same count and place."""
    words = [word for word in WORDS.read_text(encoding="utf-8").split() if word.isalpha()]
    dice = random.Random(1)
    with file.open("w", encoding="utf-8") as out:
        for _ in range(count):
            out.write(json.dumps({"messages": messages(dice, words, 8)}) + "\n")


def messages(dice: random.Random, words: list[str], num_turns: int) -> list[dict[str, str]]:
    """Return a made-up conversation."""
    made = [{"role": "system", "content": "You are a helpful assistant."}]
    for _ in range(num_turns):
        made.append({"role": "user", "content": " ".join(dice.choices(words, k=dice.randrange(6, 24)))})
        made.append({"role": "assistant", "content": " ".join(dice.choices(words, k=dice.randrange(10, 40)))})
    return made


def tunelab_side(arguments: argparse.Namespace) -> dict[str, Any]:
    """Read, render and batch one epoch."""
    from tunelab.batching.config import BatchingConfig
    from tunelab.batching.schedule import Schedule
    from tunelab.batching.step_plan import plan_step
    from tunelab.dataset.gather import read_side  # noqa: F401 - `read` imports it, and imports are not measured

    started = time.process_time()
    rows = read(arguments, "all.jsonl")
    was_read = time.process_time()
    sequences = rendered(arguments, rows)
    was_rendered = time.process_time()
    config = BatchingConfig()
    schedule = Schedule(
        sequences, config, batch_size=BATCH, accumulation=1, max_length=MAX_LENGTH, num_epochs=1, num_steps=None, seed=1
    )
    num_trained = 0.0
    for index in range(schedule.total_steps):
        chosen = [sequences[place] for batch in schedule.step(index).batches for place in batch]
        num_trained += plan_step(chosen, micro_batch_tokens=config.micro_batch_tokens).num_trained
    was_batched = time.process_time()
    if num_trained != sum(len(each.completion_ids) for each in sequences):
        raise SystemExit("batches lost trained tokens")
    stages = {"read": was_read - started, "render": was_rendered - was_read, "batch": was_batched - was_rendered}
    return {"seconds": was_batched - started, "conversations": len(rows), "stages": stages}


def trl_side(arguments: argparse.Namespace, *, per_answer: bool) -> dict[str, Any]:
    """Read, prepare and batch one epoch with what SFTTrainer uses; keep ids and masks to compare."""
    import datasets
    import numpy as np
    from torch.utils.data import DataLoader
    from transformers import PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    datasets.disable_progress_bars()
    datasets.disable_caching()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(MODEL / "tokenizer.json"), eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = TEMPLATE
    settings = SFTConfig(
        output_dir=str(arguments.folder / "trl"),
        assistant_only_loss=not per_answer,
        completion_only_loss=per_answer or None,
        max_length=MAX_LENGTH,
        use_cpu=True,
        bf16=False,
        report_to="none",
    )
    trainer = SFTTrainer.__new__(SFTTrainer)  # its preparation of data, without a model
    trainer._tokenizer, trainer.chat_template, trainer.completion_only_loss = tokenizer, None, per_answer
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        rows = datasets.load_dataset(
            "json", data_files=str(arguments.folder / "peer.jsonl"), split="train", cache_dir=folder
        )
        num_conversations = len(rows)
        if per_answer:
            rows = rows.map(by_answer, batched=True, remove_columns=["messages"])
        prepared = trainer._prepare_dataset(rows, tokenizer, settings, False, None, "train")
        collator = DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id)
        columns = prepared.select_columns(["input_ids", "labels"])
        for batch in DataLoader(columns, batch_size=BATCH, shuffle=True, collate_fn=collator):
            assert batch["input_ids"].shape == batch["labels"].shape
        seconds = time.process_time() - started
        ids = [np.array(row, dtype=np.int32) for row in prepared["input_ids"]]
        masks = [np.array(row) != -100 for row in prepared["labels"]]
    lengths = np.array([len(each) for each in ids])
    kept = arguments.folder / f"per_answer_{per_answer}.npz"
    np.savez(kept, ids=np.concatenate(ids), masks=np.concatenate(masks), lengths=lengths)
    return {"seconds": seconds, "conversations": num_conversations}


def by_answer(rows: dict[str, list[list[dict[str, str]]]]) -> dict[str, list[list[dict[str, str]]]]:
    """Return a row of prompt and completion for each answer."""
    answers = [
        (messages[:index], [message])
        for messages in rows["messages"]
        for index, message in enumerate(messages)
        if message["role"] == "assistant"
    ]
    return {"prompt": [prompt for prompt, _ in answers], "completion": [completion for _, completion in answers]}


def compare_side(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare tunelab's ids and masks with those that TRL made of the same conversations."""
    import numpy as np

    sequences = rendered(arguments, read(arguments, "peer.jsonl"))
    newline = rendered_newline(arguments)
    equal = {}
    for per_answer in (True, False):
        kept = np.load(arguments.folder / f"per_answer_{per_answer}.npz", allow_pickle=False)
        cuts = np.cumsum(kept["lengths"])[:-1]
        theirs = list(zip(np.split(kept["ids"], cuts), np.split(kept["masks"], cuts), strict=True))
        mine: dict[int, tuple[Any, Any]] = {}
        for number, each in enumerate(sequences):
            place = number if per_answer else each.conversation
            ids = np.concatenate([each.prompt_ids, each.completion_ids])
            mask = np.arange(len(ids)) >= len(each.prompt_ids)
            if place in mine:
                mask[: len(mine[place][1])] |= mine[place][1]
            mine[place] = ids, mask
        same = [
            np.array_equal(np.append(ids, newline), other_ids) and np.array_equal(mask, other_mask[: len(mask)])
            for (ids, mask), (other_ids, other_mask) in zip(mine.values(), theirs, strict=True)
        ]
        equal["per answer" if per_answer else "per conversation"] = f"{sum(same):,} of {len(same):,}"
    return {"equal": equal}


def turns_side(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the median time of a conversation of 80 turns divided by that of one of 40."""
    from tunelab.conversations.conversation import Conversation, Message
    from tunelab.sources import Origin

    words = [word for word in WORDS.read_text(encoding="utf-8").split() if word.isalpha()]
    dice = random.Random(2)
    times: dict[int, list[float]] = {40: [], 80: []}
    for _ in range(7):
        for num_turns, taken in times.items():
            rows = [
                Conversation(
                    messages=tuple(
                        Message(role=each["role"], content=each["content"])  # type: ignore[arg-type]
                        for each in messages(dice, words, num_turns)
                    ),
                    origin=Origin(path="made up", line=line),
                )
                for line in range(20)
            ]
            started = time.process_time()
            rendered(arguments, rows)
            taken.append(time.process_time() - started)
    return {"ratio": statistics.median(times[80]) / statistics.median(times[40])}


def read(arguments: argparse.Namespace, name: str) -> Any:
    """Return the conversations of a file."""
    from tunelab.dataset.config import DataConfig
    from tunelab.dataset.gather import read_side
    from tunelab.sources import SourceFile, read_rows

    files = [SourceFile(name=name, path=arguments.folder / name)]
    tokenizer = renderer(arguments).tokens.tokenizer
    conversations, _ = read_side(read_rows(files), DataConfig(), base=arguments.folder, tokenizer=tokenizer)
    return conversations.items


def rendered(arguments: argparse.Namespace, rows: Any) -> Any:
    """Return the sequences of conversations; tokenizer and template are loaded anew, so nothing is known before."""
    from tunelab.rendering.bulk.render_all import render_all

    return render_all(rows, renderer(arguments), max_length=10**6).sequences


def renderer(arguments: argparse.Namespace) -> Any:
    """Return the renderer of the embedded model with the benchmark's template."""
    from tunelab.rendering.config import RenderingConfig
    from tunelab.rendering.load_renderer import load_renderer

    return load_renderer(MODEL, RenderingConfig(chat_template="chatml.jinja"), base=arguments.folder)


def rendered_newline(arguments: argparse.Namespace) -> Any:
    """Return the ids of the newline that the template appends to an answer, which tunelab does not keep."""
    return renderer(arguments).encode("\n")


SIDES = {
    "tunelab": tunelab_side,
    "trl per answer": partial(trl_side, per_answer=True),
    "trl per conversation": partial(trl_side, per_answer=False),
    "compare": compare_side,
    "turns": turns_side,
}


if __name__ == "__main__":
    main()
