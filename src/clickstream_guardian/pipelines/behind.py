"""Work that a thread does on items in their order, while whoever hands them over goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def behind(
    work: Callable[[T], None], size: Callable[[T], int], most: int, name: str = "behind"
) -> Iterator[Callable[[T], None]]:
    """A function to hand items over with.

    It waits while more than ``most`` (by ``size``) are undone. After an error no further item is
    worked on; the error arises at a later hand-over, at the latest when the context ends.
    """
    undone: deque[tuple[int, Future[None]]] = deque()
    with ThreadPoolExecutor(1, name) as thread:

        def hand_over(item: T) -> None:
            before = undone[-1][1] if undone else None
            undone.append((size(item), thread.submit(_after, before, work, item)))
            while len(undone) > 1 and (
                undone[0][1].done() or sum(count for count, _ in undone) > most
            ):
                undone.popleft()[1].result()

        yield hand_over
        while undone:
            undone.popleft()[1].result()


def _after(before: Future[None] | None, work: Callable[[T], None], item: T) -> None:
    if before is not None:
        before.result()
    work(item)
