"""Conversations rendered by processes beside this one, from the last group of a data set towards the first.

The caller renders from the first group on, as it would alone, and takes over what is done where both meet. A process
that cannot be started, ends early or cannot take a group costs time, nothing else: the caller renders that group.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Literal

import msgspec

from tunelab.conversations.conversation import Conversation
from tunelab.rendering.config import RenderingConfig
from tunelab.rendering.renderer import Renderer

MIN_CHARS = 8_000_000
"""Text below which rendering is over before another process has read the tokenizer."""
_MAX_HELPERS = 3
_LENGTH_BYTES = 8


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is told before the first group."""

    folder: str
    config: str
    """Of rendering, as JSON."""
    base: str
    today: str
    max_length: int
    on_too_long: Literal["cut", "drop", "refuse"]


@contextmanager
def rendered_beside(
    groups: Sequence[Sequence[Conversation]],
    renderer: Renderer,
    *,
    max_length: int,
    on_too_long: Literal["cut", "drop", "refuse"],
    num_helpers: int | None = None,
) -> Iterator["Beside"]:
    """Yield what hands over the groups that other processes have rendered; none of them outlives the context.

    Args:
        groups: the conversations of a data set, in order.
        renderer: the one they are rendered with here.
        max_length: as of `render_all`, and so is `on_too_long`.
        num_helpers: processes to start; by default one for each core but this, none where there is little text.
    """
    made = renderer.made_from
    task = Task(
        folder=str(made.folder.absolute()),
        config=made.config.model_dump_json(include=set(RenderingConfig.model_fields)),
        base=str(made.base.absolute()),
        today=str(made.today),
        max_length=max_length,
        on_too_long=on_too_long,
    )
    num_helpers = _num_worthwhile(groups) if num_helpers is None else num_helpers
    beside = Beside(groups, msgspec.msgpack.encode(task) if num_helpers else b"", renderer.template_hash)
    beside.start(num_helpers)
    try:
        yield beside
    finally:
        beside.stop()


def send(stream: IO[bytes], content: bytes) -> None:
    """Write a message and its length."""
    stream.write(len(content).to_bytes(_LENGTH_BYTES, "big"))
    stream.write(content)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Return the next message.

    Raises:
        EOFError: the stream has ended.
    """
    head = stream.read(_LENGTH_BYTES)
    content = stream.read(int.from_bytes(head, "big"))
    if len(head) < _LENGTH_BYTES or len(content) < int.from_bytes(head, "big"):
        raise EOFError
    return content


class Beside:
    """Who renders which group: the caller the next from the front, a helper the next from the back."""

    def __init__(self, groups: Sequence[Sequence[Conversation]], task: bytes, template_hash: str) -> None:
        self._groups, self._task, self._template_hash = groups, task, template_hash
        self._front, self._back = 0, len(groups)
        self._ready: dict[int, bytes | None] = {}
        self._changed = threading.Condition()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []

    @property
    def num_ready(self) -> int:
        """Groups that are rendered and not handed over."""
        return len(self._ready)

    def take(self, number: int) -> bytes | None:
        """Return a group as `stored` has it, awaited where it is at work; None where the caller is to render it."""
        with self._changed:
            self._front = number + 1
            if number < self._back:
                return None
            self._changed.wait_for(lambda: number in self._ready)
            return self._ready.pop(number)

    def start(self, num_helpers: int) -> None:
        """Start processes, each with a thread that feeds it."""
        for _ in range(num_helpers):
            try:
                process = _started()
            except OSError:
                return
            thread = threading.Thread(target=self._feed, args=(process,), name="rendering beside", daemon=True)
            self._processes.append(process)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End the processes."""
        with self._changed:
            self._back = 0
        for process in self._processes:
            process.kill()
        for thread in self._threads:
            thread.join()

    def _feed(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        number = None
        try:
            with process:
                try:
                    send(process.stdin, self._task)
                    if receive(process.stdout).decode() != self._template_hash:  # the model's files have changed
                        return
                    while (number := self._claimed()) is not None:
                        if (content := _encoded(self._groups[number])) is not None:
                            send(process.stdin, content)
                            content = receive(process.stdout) or None
                        self._enter(number, content)
                        number = None
                finally:
                    process.kill()
        except (OSError, EOFError):  # it has ended: the caller renders what it had begun
            pass
        finally:
            if number is not None:
                self._enter(number, None)

    def _claimed(self) -> int | None:
        with self._changed:
            if self._back <= self._front:
                return None
            self._back -= 1
            return self._back

    def _enter(self, number: int, content: bytes | None) -> None:
        with self._changed:
            self._ready.setdefault(number, content)
            self._changed.notify_all()


def _num_worthwhile(groups: Sequence[Sequence[Conversation]]) -> int:
    """Return how many processes are worth their start."""
    alone = os.environ.get("TOKENIZERS_PARALLELISM", "true").lower() in ("", "off", "false", "f", "no", "n", "0")
    if alone or os.environ.get("LOCAL_WORLD_SIZE", "1") != "1":  # another process of the run has the other core
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    num_chars = sum(
        len(each.text or "") + sum(len(message.content or "") for message in each.messages)
        for group in groups
        for each in group
    )
    return min(cores - 1, _MAX_HELPERS) if num_chars >= MIN_CHARS else 0


def _started() -> "subprocess.Popen[bytes]":
    # -P, and the path of this process in its place: the current folder is nowhere to import from.
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tunelab.rendering.bulk.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": path, "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"},
    )


def _encoded(group: Sequence[Conversation]) -> bytes | None:
    """Return conversations as bytes; None where they would not come back as they are, such as a date in a tool."""
    loose = [[list(each.tools), [dict(c.arguments) for m in each.messages for c in m.tool_calls]] for each in group]
    try:
        if msgspec.msgpack.decode(msgspec.msgpack.encode(loose)) != loose:
            return None
        return msgspec.msgpack.encode(group)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
