"""A product table of 2.2 million rows, cleaned, sampled and split: tunelab against pandas.

`python benchmarks/clean_table.py --peer-python PYTHON` makes the table on the spot: titles and descriptions with nulls,
blanks, rows of a few characters and rows that occur twice, as JSON lines and as CSV. Both sides drop rows with a null,
rows that occur twice, titles of 10 characters and fewer and descriptions of 20 and fewer, sample 3,000 rows by seed and
split them 90 to 10. Each runs in a process of its own, in turn; seconds and peak memory are those of the whole process,
its imports with it. tunelab also writes each rejected row with its reason, which pandas does not.

PYTHON is that of an environment with pandas and scikit-learn. Before anything is sampled, the rows that remain are
compared as sets: of each side a hash over the sorted hashes of its rows.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PANDAS = """
import sys, hashlib
import pandas as pd
from sklearn.model_selection import train_test_split
source, out = sys.argv[1:3]
rows = pd.read_json(source, lines=True) if source.endswith("l") else pd.read_csv(source)
rows = rows.dropna().drop_duplicates()
rows = rows[(rows["title"].str.len() > 10) & (rows["content"].str.len() > 20)]
if len(sys.argv) > 3:
    pairs = zip(rows["title"], rows["content"])
    hashes = sorted(hashlib.blake2b(repr(pair).encode(), digest_size=8).digest() for pair in pairs)
    print(len(rows), hashlib.sha256(b"".join(hashes)).hexdigest())
else:
    train, test = train_test_split(rows.sample(3000, random_state=42), test_size=0.1, random_state=42)
    train.to_json(out + "-train.jsonl", orient="records", lines=True)
    test.to_json(out + "-test.jsonl", orient="records", lines=True)
"""
RULES = ["--drop-nulls", "--min-chars", "title=11", "--min-chars", "content=21", "--drop-duplicates", "row"]
SAMPLE = ["--max-samples", "3000", "--test-size", "0.1", "--seed", "42"]


def main() -> None:
    """Make the table, run the rounds, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default="", help="of an environment with pandas and scikit-learn")
    parser.add_argument("--rows", type=int, default=2_200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", default=["jsonl", "csv"], choices=["jsonl", "csv"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder, arguments.rows)
        for kind in arguments.kinds:
            compare(folder, kind, arguments)


def write_table(folder: Path, num_rows: int) -> None:
    """Write products.jsonl and products.csv; 26 of 100 rows have no description, 6 occur twice, 8 are too short."""
    chance = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 10))) for _ in range(5000)]
    pool = "".join(
        word + chance.choices([" ", ", ", ". ", ' "', '" '], [90, 5, 3, 1, 1])[0]
        for word in chance.choices(words, k=400_000)
    )
    last: tuple[str | None, str | None] = (None, None)
    with (folder / "products.jsonl").open("w") as lines, (folder / "products.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["title", "content"])
        for _ in range(num_rows):
            if chance.random() >= 0.06:
                last = _product(chance, pool)
            lines.write(json.dumps({"title": last[0], "content": last[1]}) + "\n")
            writer.writerow([last[0] or "", last[1] or ""])


def _product(chance: random.Random, pool: str) -> tuple[str | None, str | None]:
    at, other = chance.randrange(len(pool) - 100), chance.randrange(len(pool) - 1600)
    title: str | None = pool[at : at + 20 + int(chance.random() * 60)]
    content: str | None = pool[other : other + 30 + int(chance.random() ** 2 * 1400)]
    kind = chance.random()
    if kind < 0.26:
        content = None if kind < 0.13 else ""
    elif kind < 0.30:
        content = pool[other : other + 15]
    elif kind < 0.34:
        title = pool[at : at + 7]
    elif kind < 0.35:
        title = None
    return title, content


def compare(folder: Path, kind: str, arguments: argparse.Namespace) -> None:
    """Run both sides in turn and print what they took."""
    source = folder / f"products.{kind}"
    print(f"{kind}: {arguments.rows:,} rows, {source.stat().st_size / 1e6:,.0f} MB", flush=True)
    tunelab = [sys.executable, "-m", "tunelab", "clean", str(source), "--overwrite", "-o"]
    sides = {"tunelab": [*tunelab, str(folder / f"out-{kind}"), *RULES, *SAMPLE]}
    if arguments.peer_python:
        sides["pandas"] = [arguments.peer_python, "-c", PANDAS, str(source), str(folder / f"pandas-{kind}")]
    took: dict[str, list[tuple[float, float, float]]] = {name: [] for name in sides}
    for _ in range(arguments.rounds):
        for name, command in sides.items():
            took[name].append(measured(command))
            print(
                f"  {name:8} " + "{:7.2f} s  {:7.2f} s of processor  {:6,.0f} MiB".format(*took[name][-1]), flush=True
            )
    if not arguments.peer_python:
        return
    faster, cheaper, smaller = (
        [one[place] / other[place] for one, other in zip(took["pandas"], took["tunelab"], strict=True)]
        for place in range(3)
    )
    for what, ratios in (("faster", faster), ("less processor time", cheaper), ("less memory", smaller)):
        print(f"  {statistics.median(ratios):.2f} times {what} ({', '.join(f'{each:.2f}' for each in ratios)})")
    kept = folder / f"kept-{kind}" / f"out.{kind}"
    kept.parent.mkdir()
    subprocess.run([*tunelab, str(kept), *RULES], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    theirs = subprocess.run([*sides["pandas"], "rows"], check=True, capture_output=True, text=True).stdout.split()
    ours = fingerprint(kept)
    verdict = "the same" if list(map(str, ours)) == theirs else "NOT the same"
    print(f"  rows that remain: {ours[0]:,}, of pandas {int(theirs[0]):,}; {verdict}", flush=True)
    shutil.rmtree(kept.parent)


def measured(command: list[str]) -> tuple[float, float, float]:
    """Run a process; return its seconds, its processor seconds and its peak memory in MiB."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[:4]} ended with {process.returncode}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def fingerprint(path: Path) -> tuple[int, str]:
    """Return how many rows a file holds, and a hash that equals for the same rows in any order."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = map(json.loads, file) if path.suffix == ".jsonl" else csv.DictReader(file)
        pairs = ((row["title"], row["content"]) for row in rows)
        hashes = sorted(hashlib.blake2b(repr(pair).encode(), digest_size=8).digest() for pair in pairs)
    return len(hashes), hashlib.sha256(b"".join(hashes)).hexdigest()


if __name__ == "__main__":
    main()
