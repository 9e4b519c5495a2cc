"""The process that stays with an attempt of a job: starts it, keeps its log, ends it when asked, writes how it ended.

    python -I -S shepherd.py JOB_FOLDER ATTEMPT

The standard library alone, and no import of tunelab: it starts in a few hundredths of a second, takes little memory,
and lives on whatever becomes of the runner or the installation. It inherits the descriptor of the job's lock and does
nothing with it: the attempt lives as long as the lock is held, and the system lets it go when this process ends,
however it ends. The worker is killed by the system at the same moment (PDEATHSIG, which fires when the *thread* that
started it ends: this process has one thread).

It reads `start.json`, writes `began.json` and `exit.json`, and looks for the files `stop…` several times a second.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False  # typing itself takes a hundredth of a second
if TYPE_CHECKING:
    from typing import Any

    from tunelab.jobs.shepherd_log import Log

_PR_SET_PDEATHSIG = 1
_TICK_S = 0.2
_PIPE_BYTES = 1 << 20
_MOST_LAST_READS = 16
_LONGEST_EXIT_WAIT_S = 60
_USERS_FAULT = 2
_TRY_AGAIN = 75
"""The exit code of an attempt that stalled, or could not be started for a while, as without memory."""
_NO_PROGRAM = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC, errno.E2BIG)


def main() -> None:
    """Stay with one attempt from its beginning to its end."""
    folder, number = sys.argv[1], sys.argv[2]
    files = os.path.join(folder, f"attempt-{number}")
    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(each, lambda *_: None)  # at a shutdown the worker gets its own, saves and ends
    with open(os.path.join(files, "start.json"), encoding="utf-8") as file:
        start = json.load(file)
    log: Log = _next_to_this("shepherd_log").Log(folder)
    log.say(f"attempt {number}")
    _write_json(os.path.join(files, "exit.json"), _attempt(start, files, log), patience_s=_LONGEST_EXIT_WAIT_S)


def _attempt(start: dict[str, Any], files: str, log: Log) -> dict[str, object]:
    """Run the worker to its end and return what is to be known of it."""
    began = time.monotonic()
    try:
        secrets = {name: _secret(name, path) for name, path in start.get("secrets", {}).items()}
    except (OSError, ValueError) as error:
        log.say(f"{error}. Set it, and begin the job again: tunelab jobs retry {os.path.basename(start['cwd'])}")
        return {"code": _USERS_FAULT}
    log.hide(secrets)
    try:
        worker = _warm_worker(start, files, log) or _started(start, secrets)
    except OSError as error:
        log.say(f"the command could not be started: {error}")
        return {"code": 127 if error.errno in _NO_PROGRAM else _TRY_AGAIN}
    with suppress(OSError):  # for people to read: a full disk keeps no job from running
        _write_json(os.path.join(files, "began.json"), {"pid": worker.pid, "shepherd": os.getpid()})
    ending = Ending(
        worker, log, timeout_s=start["timeout_s"], grace_s=start["grace_s"], stop=os.path.join(files, "stop")
    )
    assert worker.stdout is not None
    output = worker.stdout.fileno()
    os.set_blocking(output, False)
    with suppress(OSError):  # the user's pipes hold all they may: a smaller one does, with more turns
        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    # a warm worker is its server's child, which may have ended and be reaped by now: its handle is from before it began
    ended = worker.handle if hasattr(worker, "handle") else os.pidfd_open(worker.pid)
    watched = select.poll()
    watched.register(output, select.POLLIN)
    watched.register(ended, select.POLLIN)
    while worker.poll() is None:
        for descriptor, _ in watched.poll(_TICK_S * 1000):
            if descriptor == output and log.copy(output) is False:
                watched.unregister(output)  # closed by the worker, which may go on
        ending.look()
    for _ in range(_MOST_LAST_READS):  # of what is there already: a daemon that it left may hold the pipe open
        if not log.copy(output):
            break
    log.flush()
    code = worker.returncode if worker.returncode >= 0 else 128 - worker.returncode
    log.say(f"ended with {code}")
    if ending.stalled and code != 0:
        code = _TRY_AGAIN
    seconds = round(time.monotonic() - began, 3)
    return {"code": code, "timed_out": ending.timed_out, "stalled": ending.stalled, "seconds": seconds}


def _secret(name: str, path: str) -> str:
    """Return the value of a secret, from a file that only this user may read."""
    try:
        with open(path, encoding="utf-8", opener=lambda file, flags: os.open(file, flags | os.O_NOFOLLOW)) as file:
            found = os.fstat(file.fileno())
            if found.st_uid != os.geteuid() or found.st_mode & 0o077:
                raise ValueError("others may read it")
            value = file.read().strip()
    except (OSError, ValueError) as error:
        raise ValueError(f"the secret {name} cannot be read from {path} ({error})") from None
    if not value or "\0" in value:
        raise ValueError(f"{path} holds no value for the secret {name}")
    return value


def _warm_worker(start: dict[str, Any], files: str, log: Log) -> Any:
    """Return a worker that the warm server of the workspace forked; None if it is to be started in the ordinary way."""
    if "warm" not in start:
        return None
    if start.get("secrets"):
        log.say("started in the ordinary way: its secrets are for its own process alone")
        return None
    warm_worker = _next_to_this("warm_worker")
    try:
        return warm_worker.WarmWorker.begun(start, os.path.join(files, "stop"))
    except warm_worker.NotWarmError as error:
        log.say(f"started in the ordinary way: {error}")
        return None


def _started(start: dict[str, Any], secrets: dict[str, str]) -> subprocess.Popen[bytes]:
    libc, parent = ctypes.CDLL(None), os.getpid()

    def die_with_the_shepherd() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(
        start["command"],
        cwd=start["cwd"],
        env=os.environ | start["variables"] | secrets,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        restore_signals=True,
        preexec_fn=die_with_the_shepherd,
    )


class Ending:
    """Whether the worker is to end: asked by a file, or out of time.

    The names are the words, and the files empty, so that a full disk takes them: `stop` asks to save and stop,
    `stop-now` to end at once, `stop-stalled` comes from whoever watches the run's events.
    """

    def __init__(
        self, worker: subprocess.Popen[bytes], log: Log, *, timeout_s: float | None, grace_s: float, stop: str
    ) -> None:
        self.timed_out = self.stalled = False
        self._worker, self._log, self._grace_s, self._stop = worker, log, grace_s, stop
        self._deadline = time.monotonic() + timeout_s if timeout_s is not None else None
        self._kill_at: float | None = None
        self._is_killed = False

    def look(self) -> None:
        """Ask the worker to save and stop, or kill it, if it is time to."""
        now = time.monotonic()
        asked = self._asked()
        if self._kill_at is None:
            if asked == "stalled":
                self.stalled = True
                self._ask("no event for too long: asked to save and stop", now)
            elif asked is not None:
                self._ask("asked to save and stop", now)
            elif self._deadline is not None and now >= self._deadline:
                self.timed_out = True
                self._ask("out of time: asked to save and stop", now)
        if not self._is_killed and (asked == "now" or (self._kill_at is not None and now >= self._kill_at)):
            self._is_killed = True
            self._log.say("killed")
            _signal(self._worker, signal.SIGKILL)

    def _asked(self) -> str | None:
        words = {"now": f"{self._stop}-now", "save": self._stop, "stalled": f"{self._stop}-stalled"}
        return next((word for word, file in words.items() if os.path.exists(file)), None)

    def _ask(self, words: str, now: float) -> None:
        self._log.say(words)
        self._kill_at = now + self._grace_s
        _signal(self._worker, signal.SIGTERM)


def _signal(worker: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the worker, or kill it with all of its process group."""
    with suppress(ProcessLookupError):
        if number == signal.SIGKILL:
            os.killpg(worker.pid, number)
        else:
            worker.send_signal(number)


def _next_to_this(name: str) -> Any:
    """Return a module of this folder, which is on no path: nothing in it is taken for one of Python's own."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(name, os.path.join(os.path.dirname(__file__), f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(module := module_from_spec(spec))
    return module


def _write_json(path: str, value: object, *, patience_s: float = 0) -> None:
    """Write a file whole or not at all; wait so long for a disk that refuses it."""
    last = time.monotonic() + patience_s
    while True:
        try:
            with open(path + ".tmp", "w", encoding="utf-8") as file:
                json.dump(value, file)
                file.flush()
                os.fsync(file.fileno())
            os.rename(path + ".tmp", path)
            return
        except OSError:
            if time.monotonic() >= last:
                raise
            time.sleep(1)


if __name__ == "__main__":
    main()
