"""Conversations rendered by other processes, from the last group of a data set towards the first.

The caller renders from the first group on, as it would alone, and takes over what is done where both meet. A helper
that cannot be started, ends early or cannot take a group costs time, nothing else: the caller renders that group.
"""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context, parent_process, resource_tracker
from types import ModuleType

from tunelab.conversations.conversation import Conversation
from tunelab.rendering.load_renderer import load_renderer
from tunelab.rendering.renderer import MadeFrom, Renderer

MIN_CHARS = 8_000_000
"""Text below which rendering is over before another process has read the tokenizer."""
_MAX_HELPERS = 3
_GROUPS_AHEAD = 2
"""Of a helper: the one at work and the next, so that it need not wait for this process to look up."""

Group = Sequence[Conversation]
Render = Callable[[Group, Renderer], bytes]


@contextmanager
def rendered_beside(groups: Sequence[Group], renderer: Renderer, render: Render) -> Iterator["Helpers"]:
    """Yield what hands over the groups that helpers have rendered; none of them outlives the context.

    Args:
        groups: the conversations of a data set, in order.
        renderer: the one they are rendered with here.
        render: renders a group in a helper, which must be able to import it.
    """
    helpers = Helpers(groups, render)
    try:
        if num_helpers := _num_worthwhile(groups):
            helpers.start(num_helpers, renderer)
        yield helpers
    finally:
        helpers.stop()


class Helpers:
    """Who renders which group: the caller the next from the front, a helper the next from the back."""

    def __init__(self, groups: Sequence[Group], render: Render) -> None:
        self._groups, self._render = groups, render
        self._front, self._back = 0, len(groups)
        self._futures: dict[int, Future[bytes]] = {}
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None

    @property
    def num_ready(self) -> int:
        """Groups that are rendered and not handed over."""
        with self._lock:
            return sum(future.done() and future.exception() is None for future in self._futures.values())

    def take(self, number: int) -> bytes | None:
        """Return what `render` made of a group, awaited if it is at work; None if the caller is to render it."""
        with self._lock:
            self._front = number + 1
            future = self._futures.pop(number, None)
        with suppress(
            Exception
        ):  # a helper has died, or the group ends the rendering: raised when the caller renders it
            return None if future is None else future.result()
        return None

    def start(self, num_helpers: int, renderer: Renderer) -> None:
        """Start helpers and give them their first groups."""
        made = renderer.made_from
        made = replace(made, folder=made.folder.absolute(), base=made.base.absolute())
        with suppress(OSError), _as_helpers_start():
            # Never forked: polars, tokenizers and torch have threads of their own.
            self._executor = ProcessPoolExecutor(
                num_helpers, get_context("spawn"), initializer=_begin, initargs=(made, renderer.template_hash)
            )
            for _ in range(_GROUPS_AHEAD * num_helpers):
                self._submit_next()

    def stop(self) -> None:
        """End the helpers."""
        with self._lock:
            self._back = 0
        if self._executor is not None:
            for process in list(self._executor._processes.values()):
                process.kill()
            self._executor.shutdown()

    def _submit_next(self, done: "Future[bytes] | None" = None) -> None:
        """Submit the next group; few at a time, as what was submitted cannot be taken back."""
        if done is not None and isinstance(done.exception(), BrokenExecutor):
            return  # known under the executor's lock from Python 3.12 on: one more call would wait for it for ever
        with self._lock:
            number = self._back - 1
            if number < self._front or self._executor is None:
                return
            try:
                future = self._executor.submit(_rendered, self._render, self._groups[number])
            except (OSError, RuntimeError):  # no process can be started, or one has died
                return
            self._futures[number] = future
            self._back = number
        future.add_done_callback(self._submit_next)


def _num_worthwhile(groups: Sequence[Group]) -> int:
    """Return how many helpers are worth their start."""
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


@contextmanager
def _as_helpers_start() -> Iterator[None]:
    """Keep from helpers what they would inherit: the caller's script, its current folder to import from, Ctrl+C."""
    main, safe_path = sys.modules["__main__"], os.environ.get("PYTHONSAFEPATH")
    sys.modules["__main__"] = ModuleType("__main__")
    os.environ["PYTHONSAFEPATH"] = "1"
    resource_tracker.ensure_running()  # when it starts, it unblocks the signal
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if safe_path is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = safe_path
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)


_loaded: list[Renderer] = []
"""In a helper, the renderer; none if the model's files have changed or cannot be read."""


def _begin(made: MadeFrom, template_hash: str) -> None:
    """Make a helper ready."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.disable()  # as in `sources.garbage`: texts and ids hold no cycle
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with suppress(Exception):
        renderer = load_renderer(made.folder, made.config, base=made.base, today=made.today)
        if renderer.template_hash == template_hash:
            _loaded.append(renderer)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _rendered(render: Render, group: Group) -> bytes:
    return render(group, _loaded[0])
