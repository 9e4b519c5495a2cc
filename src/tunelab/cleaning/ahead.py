"""Work of an iterator done in a thread beside, a few items ahead."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
_ITEMS_AHEAD = 1


def ahead(items: Iterable[Item]) -> Iterator[Item]:
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
        except BaseException as raised:  # told where it is awaited
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


class _End:
    """What comes behind the last item."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
