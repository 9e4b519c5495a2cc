"""A substitute for `tunelab train RECIPE --run ID`: the standard library alone, so that a job takes milliseconds.

It keeps the promises that jobs lean on: the same line begins the run, goes on after its last saved step, or finds it
finished; one process at a time; a manifest written last; saved and ended with 143 on SIGTERM. RECIPE is JSON:

    steps, step_s   how many steps, and the seconds of each
    codes           exit codes of the first attempts, in place of work
    ignores         SIGTERM is ignored
    daemon          a daemon is left, by setsid and a double fork
    prints          a text printed at the start; `closes`: standard output is closed then
    says            variables whose values are printed
    sleeps_s        seconds asleep before the first step, deaf to SIGTERM as a long step is
"""

import fcntl
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def main() -> int:
    """Do the run's work, or what is left of it, and return the exit code."""
    recipe = json.loads(Path(sys.argv[2]).read_text())
    workspace = next(each for each in Path.cwd().parents if (each / ".tunelab").is_dir())
    run = workspace / "runs" / sys.argv[4]
    run.mkdir(parents=True, exist_ok=True)
    lock = os.open(run / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _note(run, "clash")
        return 75
    if (run / "manifest.json").exists():
        _note(run, "begun_again_after_its_end")
        return 0
    _note(run, "begun")
    is_stopping: list[bool] = []
    deaf = signal.SIG_IGN if recipe.get("ignores") else lambda *_: is_stopping.append(True)
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:  # a signal that is ignored from the start stays so
        signal.signal(signal.SIGTERM, deaf)
    if recipe.get("daemon"):
        _leave_a_daemon()
    for name in recipe.get("says", ()):
        print(f"its token is {os.environ[name]}")
    print(recipe.get("prints", "at work"), flush=True)
    if recipe.get("closes"):
        os.close(1)
        os.close(2)
    begun = (run / "begun").read_text().count("\n")
    if begun <= len(recipe.get("codes", ())):
        return int(recipe["codes"][begun - 1])
    return _work(recipe, run, is_stopping)


def _work(recipe: dict[str, Any], run: Path, is_stopping: list[bool]) -> int:
    step, state = _saved(run)
    last = time.monotonic() + recipe.get("sleeps_s", 0)
    while (left := last - time.monotonic()) > 0:
        time.sleep(left)
    while step < recipe["steps"]:
        if is_stopping:
            return 143
        time.sleep(recipe.get("step_s", 0))
        step, state = step + 1, hashlib.sha256(f"{state} {step}".encode()).hexdigest()
        _write(run / "saved", f"{step} {state}")
    (run / "adapter").mkdir(exist_ok=True)
    _write(run / "adapter" / "adapter_model.safetensors", state)
    sha256 = hashlib.sha256(state.encode()).hexdigest()
    manifest = {
        "run_id": run.name,
        "base_model": "none",
        "template_sha256": "",
        "rendered_on": "2026-11-30",
        "files": {"adapter_model.safetensors": sha256},
    }
    _write(run / "manifest.json", json.dumps(manifest))
    return 0


def right_state(steps: int) -> str:
    """Return what an undisturbed run of so many steps leaves."""
    state = ""
    for step in range(steps):
        state = hashlib.sha256(f"{state} {step}".encode()).hexdigest()
    return state


def _saved(run: Path) -> tuple[int, str]:
    try:
        step, state = (run / "saved").read_text().split(" ")
    except FileNotFoundError:
        return 0, ""
    return int(step), state


def _note(run: Path, name: str) -> None:
    with (run / name).open("a") as file:
        file.write(f"{os.getpid()}\n")


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}")
    aside.write_text(text)
    aside.rename(path)


def _leave_a_daemon() -> None:
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    time.sleep(600)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
