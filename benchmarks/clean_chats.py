"""A million conversations, about a gigabyte, validated, counted and de-duplicated: pace and memory of `tunelab clean`.

`python benchmarks/clean_chats.py` makes the file on the spot: chats of two to eight messages, one in fifty a copy of an
earlier one, one in a thousand broken. It is cleaned with one thread (POLARS_MAX_THREADS=1); its size is divided by
the processor seconds of the whole process. Memory is the peak of the process, for the file and for a quarter of it.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path

from clean_table import measured

CHARS = 1000


def main() -> None:
    """Make the file, clean it and a quarter of it in turn, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    os.environ["POLARS_MAX_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = {"all": arguments.conversations, "a quarter": arguments.conversations // 4}
        took: dict[str, list[tuple[float, float, float]]] = {side: [] for side in sizes}
        paths = {side: folder / f"{side.replace(' ', '_')}.jsonl" for side in sizes}
        for side, count in sizes.items():
            write_chats(paths[side], count)
        for _ in range(arguments.rounds):
            for side, path in paths.items():
                out = folder / f"out-{path.stem}" / "clean.jsonl"
                out.parent.mkdir(exist_ok=True)
                command = [sys.executable, "-m", "tunelab", "clean", str(path), "-o", str(out), "--overwrite"]
                took[side].append(measured([*command, "--drop-duplicates", "row"]))
                seconds, processor, memory = took[side][-1]
                pace = path.stat().st_size / 1e6 / processor
                shown = f"{seconds:6.1f} s, {processor:6.1f} s of processor, {pace:5.1f} MB/s a core"
                print(f"  {side:9} {shown}, {memory:6,.0f} MiB", flush=True)
        report = json.loads((folder / "out-all" / "clean.report.json").read_text())
        size = paths["all"].stat().st_size / 1e6
        pace = statistics.median(size / processor for _, processor, _ in took["all"])
        memories = [statistics.median(each[2] for each in took[side]) for side in sizes]
        counts = ", ".join(f"{report[f'num_{what}']:,} {what}" for what in ("read", "kept", "rejected"))
        print(f"{size:,.0f} MB: {counts}")
        print(f"{pace:.1f} MB/s a core; peak {memories[0]:,.0f} MiB, of a quarter of the file {memories[1]:,.0f} MiB")


def write_chats(path: Path, count: int) -> None:
    """Write conversations of about a thousand characters."""
    chance = random.Random(11)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 10))) for _ in range(5000)]
    pool = " ".join(chance.choices(words, k=400_000))
    line = ""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            if chance.random() >= 0.02 or not line:
                turns = chance.randint(1, 4)
                messages = []
                for turn in range(2 * turns):
                    at = chance.randrange(len(pool) - 2 * CHARS)
                    said = pool[at : at + int(chance.random() * 2 * CHARS / (2 * turns))] or "yes"
                    said = said + ' "quoted"\n' if chance.random() < 0.1 else said
                    messages.append({"role": ("user", "assistant")[turn % 2], "content": said})
                line = json.dumps({"messages": messages})
            file.write((line if number % 1000 else line[:-3]) + "\n")


if __name__ == "__main__":
    main()
