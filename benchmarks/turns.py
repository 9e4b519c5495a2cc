"""What conversations of 8, 40 and 80 turns cost to render: `python benchmarks/turns.py [FAMILY ...]`.

For each chat template of trl, with a tokenizer of its family's kind made on the spot: made-up conversations, half of
the turns questions and half answers, every answer trained, without reasoning and with it. Milliseconds of the processor
for one conversation, from messages to ids and masks, the least of three times; imports and loading are not measured.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "rendering")]

from small_models import assistant, conversation, system, user  # noqa: E402
from trl_families import NAMES, renderer_of_family  # noqa: E402

from tunelab.conversations.conversation import Conversation  # noqa: E402
from tunelab.rendering.bulk.render_all import render_all  # noqa: E402
from tunelab.rendering.renderer import Renderer  # noqa: E402

WORDS = ("river", "lamp", "seven", "a", "paper", "of", "quietly", "blue", "train", "because", "garden", "it", "walks")
CONVERSATIONS = 6
TURNS = (8, 40, 80)


def main() -> None:
    """Parse the command line and print a line for each family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"of {', '.join(NAMES)}; by default all")
    families = parser.parse_args().families or NAMES
    if unknown := set(families) - set(NAMES):
        parser.error(f"trl has no chat template for {', '.join(sorted(unknown))}")
    columns = "".join(f"{num_turns:9}" for num_turns in TURNS)
    print(f"{'milliseconds, turns':24}{columns}     and with reasoning{columns}")
    for family in families:
        with tempfile.TemporaryDirectory() as folder:
            renderer = renderer_of_family(family, Path(folder))
            plain, reasoning = (
                "".join(f"{milliseconds(renderer, num_turns, reasons=reasons):9.2f}" for num_turns in TURNS)
                for reasons in (False, True)
            )
        print(f"{family:24}{plain}{'':23}{reasoning}", flush=True)


def milliseconds(renderer: Renderer, num_turns: int, *, reasons: bool) -> float:
    """Return what one conversation takes of the processor."""
    dice = random.Random(num_turns)
    rows = [made_up(dice, num_turns, line, reasons=reasons) for line in range(CONVERSATIONS)]
    render_all(rows, renderer, max_length=10**6, on_bad=lambda fault: None)
    times = []
    for _ in range(3):
        started = time.process_time()
        render_all(rows, renderer, max_length=10**6, on_bad=lambda fault: None)
        times.append(time.process_time() - started)
    return 1000 * min(times) / CONVERSATIONS


def made_up(dice: random.Random, num_turns: int, line: int, *, reasons: bool) -> Conversation:
    """Return a conversation with a system message in front."""

    def words(count: int) -> str:
        return " ".join(dice.choices(WORDS, k=count))

    messages = [system(words(30))]
    for _ in range(num_turns // 2):
        messages += [user(words(20)), assistant(words(40), reasoning=words(20) if reasons else None)]
    return conversation(*messages, line=line, train="all")


if __name__ == "__main__":
    main()
