"""Read the next batches while the device works on this one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


class _End:
    """Marks the end of the stream, with the error that ended it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetch(items: Iterator[T], device: str, depth: int = 3) -> Iterator[T]:
    """Yield ``items`` in order, from a thread that keeps ``depth`` of them ready.

    On the CPU nothing is read ahead: reader and model would only compete for cores.

    Args:
        items: the batches; an error while they are made is raised here.
        device: name of the device that works on them.
        depth: batches that are ready at a time.

    >>> list(prefetch(iter([1, 2, 3]), "cuda"))
    [1, 2, 3]
    """
    if device == "cpu":
        yield from items
        return
    ready: queue.Queue[T | _End] = queue.Queue(depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, ready, stopped), daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()


def _fill(items: Iterator[T], ready: queue.Queue[T | _End], stopped: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            if not _put(ready, item, stopped):
                return
    except BaseException as caught:  # handed to the reader of the queue, who raises it
        error = caught
    _put(ready, _End(error), stopped)


def _put(ready: queue.Queue[T | _End], item: T | _End, stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
