"""An iterator whose next items are made in a thread while the last one is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
_END = object()


@contextmanager
def ahead(items: Iterator[T], depth: int, name: str) -> Iterator[Iterator[T]]:
    """Iterate ``items`` with at most ``depth`` made in advance; errors arise where they belong.

    ``name`` is the thread's, for whoever looks at where the time goes.
    """
    made: queue.Queue[object] = queue.Queue(maxsize=depth)
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(items, made, stop), name=name, daemon=True)
    thread.start()
    try:
        yield _consume(made)
    finally:
        stop.set()
        while thread.is_alive():
            _drain(made)
            thread.join(0.01)


def _produce(items: Iterator[T], made: queue.Queue[object], stop: threading.Event) -> None:
    try:
        for item in items:
            if stop.is_set():
                return
            made.put(item)
        made.put(_END)
    except BaseException as error:
        made.put(error)


def _consume(made: queue.Queue[object]) -> Iterator[T]:
    while (item := made.get()) is not _END:
        if isinstance(item, BaseException):
            raise item
        yield item  # type: ignore[misc]


def _drain(made: queue.Queue[object]) -> None:
    while not made.empty():
        made.get_nowait()
