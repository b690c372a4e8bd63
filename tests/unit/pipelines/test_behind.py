"""Work behind: in order, bounded, and nothing after an error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

import pytest

from clickstream_guardian.pipelines.behind import behind


def test_items_are_done_in_order_by_the_end() -> None:
    done: list[int] = []
    with behind(done.append, lambda _: 1, 3) as hand_over:
        for item in range(50):
            hand_over(item)
    assert done == list(range(50))


def test_whoever_hands_over_goes_on_until_too_much_is_undone() -> None:
    gate, done = threading.Event(), []

    def work(item: int) -> None:
        gate.wait()
        done.append(item)

    with behind(work, lambda item: item, 10) as hand_over:
        hand_over(5)
        hand_over(5)
        assert done == []
        threading.Timer(0.05, gate.set).start()
        hand_over(1)
        assert 5 in done
    assert done == [5, 5, 1]


def test_nothing_is_done_after_an_error_and_the_error_arises() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 2:
            raise OSError("disk full")
        done.append(item)

    with pytest.raises(OSError, match="disk full"):
        hand_all_over(range(9), work)
    assert done == [0, 1]


def test_an_error_of_the_one_who_hands_over_travels_on() -> None:
    done: list[int] = []
    with pytest.raises(ZeroDivisionError):
        hand_all_over((1 // item for item in (1, 0)), done.append)
    assert done == [1]


def hand_all_over(items: Iterable[int], work: Callable[[int], None]) -> None:
    with behind(work, lambda _: 1, 5) as hand_over:
        for item in items:
            hand_over(item)
