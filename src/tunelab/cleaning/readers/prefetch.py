"""Work done in other threads, a few items ahead: items prefetched, or made two at a time."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")
_ITEMS_AHEAD = 1


def prefetched(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items in order, made while the one before is worked on; an error comes where it would have come.

    Only for iterators that leave Python's lock alone much of the time: others gain nothing.
    """
    ready: queue.Queue[Item | _End] = queue.Queue(maxsize=_ITEMS_AHEAD)
    left = threading.Event()

    def put(item: "Item | _End") -> bool:
        while not left.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as raised:  # raised where it is awaited
            error = raised
        put(_End(error))

    thread = threading.Thread(target=work, name="reading ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        left.set()
        thread.join()


def in_parallel(items: Iterable[Item], make: Callable[[Item], Made]) -> Iterator[tuple[Item, Made]]:
    """Yield each item, in order, with what is made of it; of two items it is made at once.

    Only for what leaves Python's lock alone much of the time. An error comes where it would have come.
    """
    stream, error = iter(items), None
    with ThreadPoolExecutor(2, thread_name_prefix="in parallel") as workers:
        under_way: deque[tuple[Item, Future[Made]]] = deque()
        while error is None:
            try:
                item = next(stream)
                under_way.append((item, workers.submit(make, item)))
            except Exception as raised:  # the end, or an error that those under read_plan come before
                error = raised
            while len(under_way) > (error is None):
                first, made = under_way.popleft()
                yield first, made.result()
    if not isinstance(error, StopIteration):
        raise error


class _End:
    """What comes after the last item."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
