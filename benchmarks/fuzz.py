"""Feed every reader with broken inputs, a million in all, and see that none of them breaks anything.

    python benchmarks/fuzz.py [--inputs 1000000] [--seed 1] [--reader NAME]…

Each reader of `tests/fuzz/readers.py` runs in processes of its own. atheris makes the inputs: it begins with good ones
and keeps those that reach new lines. A fault is whatever escapes that is no TunelabError, an input that takes
more processor time than its reader may, a process that dies, memory above 4 GiB. The first input of each kind of fault
is kept in FOLDER/<reader>/ (--faults FOLDER); once it is mended, it moves into tests/fuzz/corpus/<reader>/, which
the tests replay. Ends with 1 where there was a fault.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from traceback import extract_tb
from typing import Any

ROOT = Path(__file__).parents[1]
MAX_BYTES = 4 * 2**30
MAX_INPUT_BYTES = 4096
_REPORTED = 500
"""How many inputs lie between two notes of the count: at most so many are uncounted where a process dies."""


def main() -> None:
    """Run every reader and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many in all (1000000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reader", action="append", help="only this one; repeatable")
    parser.add_argument("--faults", type=Path, help="folder for the inputs that failed")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.faults or Path(tempfile.mkdtemp(prefix="faults-"))
    sys.path.insert(0, str(ROOT / "tests"))
    if options.inside:
        fuzz(options.inside, options.inputs, options.seed, folder)
    from fuzz.readers import READERS

    chosen = options.reader or list(READERS)
    shares = sum(READERS[name].share for name in chosen)
    total, seconds, faults = 0, 0.0, 0
    print(f"{'reader':<14}{'inputs':>10}{'seconds':>10}{'a second':>10}{'slowest':>10}{'faults':>8}", flush=True)
    for name in chosen:
        inputs = -int(-options.inputs * READERS[name].share // shares)
        begun = time.monotonic()
        found = supervise(name, inputs, options.seed, folder / name)
        took = time.monotonic() - begun
        row = f"{name:<14}{found['inputs']:>10,}{took:>10.1f}{found['inputs'] / took:>10.0f}{found['slowest_s']:>9.2f}s"
        print(f"{row}{len(found['faults']):>8}", flush=True)
        for fault in found["faults"]:
            print(f"    {fault}", flush=True)
        total, seconds, faults = total + found["inputs"], seconds + took, faults + len(found["faults"])
    print(f"{total:,} inputs in {seconds:,.0f} s ({total / seconds:,.0f} a second), {faults} faults", flush=True)
    if faults:
        print(f"The inputs that failed: {folder}")
    sys.exit(1 if faults else 0)


def supervise(name: str, inputs: int, seed: int, folder: Path) -> dict[str, Any]:
    """Run a reader in processes until it has had its inputs; one that dies is a fault, and the next goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"inputs": 0, "slowest_s": 0.0, "faults": {}}
    for attempt in range(20):
        command = [sys.executable, __file__, "--inside", name, "--inputs", str(inputs - result["inputs"])]
        command += ["--seed", str(seed + attempt), "--faults", str(folder)]
        (folder / "count.json").unlink(missing_ok=True)
        with (folder / "log.txt").open("wb") as log:
            code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        found = json.loads((folder / "count.json").read_text()) if (folder / "count.json").exists() else {}
        result["inputs"] += found.get("inputs", 0)
        result["slowest_s"] = max(result["slowest_s"], found.get("slowest_s", 0.0))
        result["faults"] |= found.get("faults", {})
        if code == 0:
            break
        log_end = (folder / "log.txt").read_text(errors="replace")[-300:]
        if not found.get("inputs"):
            raise SystemExit(f"{name}: nothing ran: {log_end}")
        result["faults"][f"process died ({code}): {' '.join(log_end.split())}"] = str(folder)
    return result


def fuzz(name: str, inputs: int, seed: int, folder: Path) -> None:
    """Feed one reader in this process, and end it."""
    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    with atheris.instrument_imports(include=["tunelab"]):
        from fuzz.readers import FOLDER, READERS
    from tunelab.errors import TunelabError

    reader, work = READERS[name], Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    words = FOLDER / "words" / f"{reader.words}.txt"
    if reader.words:
        (work / "words").write_text("".join(f'"{_quoted(word)}"\n' for word in words.read_text().split()))
    known = [FOLDER / kind / name for kind in ("seeds", "corpus") if (FOLDER / kind / name).is_dir()]
    (work / "found").mkdir()
    inside = work / "inside"
    count, slowest, faults = 0, 0.0, dict[str, str]()

    def note(data: bytes, fault: str) -> None:
        if fault not in faults:
            faults[fault] = sha256(data).hexdigest()[:16]
            (folder / faults[fault]).write_bytes(data)

    def report() -> None:
        (folder / "count.json").write_text(json.dumps({"inputs": count, "slowest_s": slowest, "faults": faults}))

    def feed(data: bytes) -> None:
        nonlocal count, slowest
        inside.mkdir(exist_ok=True)
        begun = time.process_time()
        try:
            reader.feed(data, inside)
        except TunelabError:
            pass
        except BaseException as error:
            note(data, _named(error))
        took = time.process_time() - begun
        slowest, count = max(slowest, took), count + 1
        if took > reader.max_seconds and count > 1:  # the first one loads what all others find loaded
            note(data, f"slower than {reader.max_seconds:g} seconds")
        for file in inside.iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        if count % _REPORTED == 0 or count >= inputs:
            report()
        if count >= inputs:
            subprocess.run(["rm", "-r", str(work)], check=False)
            os._exit(0)

    os.chdir(work)
    options = [
        f"-seed={seed}",
        *([f"-dict={work}/words"] if reader.words else []),
        f"-max_len={MAX_INPUT_BYTES}",
        "-timeout=60",
        "-rss_limit_mb=0",
    ]
    options += [f"-artifact_prefix={folder}/died-", "-verbosity=0", "-close_fd_mask=0"]
    report()
    atheris.Setup([sys.argv[0], *options, f"{work}/found", *map(str, known)], feed)
    atheris.Fuzz()


def _named(error: BaseException) -> str:
    """Return what failed and where in tunelab: two inputs that fail so are one fault."""
    frames = [frame for frame in extract_tb(error.__traceback__) if "/tunelab/" in frame.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "the harness"
    return f"{type(error).__name__} at {where}: {str(error)[:100]}"


def _quoted(word: str) -> str:
    return "".join(char if char.isalnum() else f"\\x{byte:02x}" for char in word for byte in char.encode())


if __name__ == "__main__":
    main()
