"""How long `tunelab check` takes: `python benchmarks/check_speed.py --conversations N`.

Conversations are made up on the spot: a system prompt, three questions and three answers in words of a vocabulary of
20,000, in every fourth of them a catalogue of six tools, a call and its result; one in a hundred repeats an earlier
one. They are checked with the embedded model's tokenizer (`--model` names another), each round in a process of its own:
once with an empty cache of rendered data (cold), once with what that left (warm). Seconds of the clock and of the
processor, imports included, and the peak of memory; the median of the rounds. A plain loop is timed next to it.
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
from pathlib import Path
from typing import Any

SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "ar", "en", "is", "on")]
CITIES = ("Lisbon", "Oslo", "Kyoto", "Quito", "Accra", "Hanoi")


def main() -> None:
    """Parse the command line, run the rounds, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "chats.jsonl"
        write_conversations(file, arguments.conversations)
        size = file.stat().st_size / 1e6
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        print(f"{arguments.conversations:,} conversations, {size:,.1f} MB, {arguments.model}, {cores} cores, "
              f"Python {platform.python_version()}")  # fmt: skip
        print(f"a loop of ten million additions takes {additions_s():.2f} s of the processor here")
        rounds = [measure_both(file, arguments.model, Path(folder) / f"cache{n}") for n in range(arguments.rounds)]
        for name in ("cold", "warm"):
            medians = {key: statistics.median(each[name][key] for each in rounds) for key in rounds[0][name]}
            print(f"{name}: {medians['clock_s']:.1f} s, {medians['processor_s']:.1f} s of the processor, "
                  f"peak {medians['peak_mb']:,.0f} MB")  # fmt: skip
        print(f"{rounds[0]['cold']['findings']:.0f} findings")


def additions_s() -> float:
    """Return the processor seconds of a plain loop: on a busy machine it takes longer, as all else does."""
    began, total = time.process_time(), 0
    for number in range(10_000_000):
        total += number
    return time.process_time() - began


def measure_both(file: Path, model: str, cache: Path) -> dict[str, dict[str, float]]:
    """Return what a check costs with an empty cache and with the one that it filled."""
    return {name: measure(file, model, cache) for name in ("cold", "warm")}


def measure(file: Path, model: str, cache: Path) -> dict[str, float]:
    """Return seconds of clock and processor, the peak of memory, and the number of findings of one check."""
    command = [sys.executable, "-m", "tunelab", "check", str(file), "--model", model, "--json", "--fail-on", "never"]
    began = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {"TUNELAB_CACHE": str(cache)}
    ) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    clock_s = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"check ended with {process.returncode}")
    return {
        "clock_s": clock_s,
        "processor_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
        "findings": float(len(json.loads(printed)["findings"])),
    }


def write_conversations(file: Path, count: int) -> None:
    """Write made-up conversations, one a line."""
    dice = random.Random(0)
    vocabulary = sorted({"".join(dice.choices(SYLLABLES, k=dice.randint(1, 4))) for _ in range(24_000)})[:20_000]
    rows: list[str] = []
    for number in range(count):
        again = number % 100 == 99
        rows.append(rows[dice.randrange(len(rows))] if again else json.dumps(conversation(dice, vocabulary, number)))
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")


def conversation(dice: random.Random, vocabulary: list[str], number: int) -> dict[str, Any]:
    """Return one conversation."""

    def words(least: int, most: int) -> str:
        said = dice.choices(vocabulary, k=dice.randint(least, most))
        return " ".join(word + ("." if place % 12 == 11 else "") for place, word in enumerate(said)).capitalize()

    messages: list[dict[str, Any]] = [{"role": "system", "content": "You are the travel desk. Answer briefly."}]
    for turn in range(3):
        messages.append({"role": "user", "content": f"{number}: {words(8, 40)}?"})
        if turn == 1 and number % 4 == 0:
            call = {
                "name": "weather",
                "arguments": json.dumps({"city": dice.choice(CITIES), "days": dice.randint(1, 9)}),
            }
            messages.append(
                {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": call}]}
            )
            messages.append({"role": "tool", "tool_call_id": "call_1", "content": words(5, 20)})
        messages.append({"role": "assistant", "content": words(20, 120)})
    row: dict[str, Any] = {"messages": messages}
    return row | {"tools": [tool(name) for name in TOOLS]} if number % 4 == 0 else row


TOOLS = ("weather", "flights", "hotels", "trains", "visa", "currency")


def tool(name: str) -> dict[str, Any]:
    """Return the definition of a tool."""
    properties = {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}}
    parameters = {"type": "object", "properties": properties, "required": ["city"]}
    return {
        "type": "function",
        "function": {"name": name, "description": f"Tells of {name}.", "parameters": parameters},
    }


if __name__ == "__main__":
    main()
