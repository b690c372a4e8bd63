"""On the cluster, recovery and catching up are told from positions on the log."""

from __future__ import annotations

import numpy as np

from clickstream_guardian.chaos.cluster.judge import Pace, Read, course, landing_course
from clickstream_guardian.chaos.cluster.observe import Landed, Look

# Ten events a second from second 0 on, dealt to two partitions; a stranger's message lies on one.
READ = Read({0: 100, 1: 50}, {0: np.arange(0, 100, 2), 1: np.insert(np.arange(1, 100, 2), 1, -1)})
PACE = Pace(began=0.0, rate=10, count=100)


def at(seconds: float, zero: int, one: int) -> Look:
    return Look(seconds, {0: 100 + zero, 1: 50 + one})


def test_recovery_is_the_first_output_of_an_event_that_came_after() -> None:
    looks = [at(2, 10, 11), at(3, 10, 11), at(4, 15, 16), at(5, 17, 17), at(6, 30, 31)]
    found = course(looks, READ, PACE, fault=3.0, since=3.0)
    assert found.recovery_seconds == 2.0  # at 4 only events were saved that had been due before 3
    assert found.caught_up_seconds == 3.0
    assert found.lag[:3] == ((2, 0), (3, 10), (4, 10))


def test_no_output_of_a_partition_is_no_recovery() -> None:
    looks = [at(2, 10, 11), at(4, 20, 11), at(6, 30, 11), at(8, 40, 41)]
    found = course(looks, READ, PACE, fault=2.0, since=2.0)
    assert (found.recovery_seconds, found.caught_up_seconds) == (6.0, 6.0)


def test_a_partition_whose_load_is_judged_waits_for_nothing() -> None:
    read = Read({0: 0, 1: 0}, {0: np.arange(100), 1: np.array([-1, -1])})
    found = course([Look(8.0, {0: 90, 1: 0})], read, PACE, fault=2.0, since=8.0 - 1)
    assert found.recovery_seconds == 1.0


def test_an_absent_database_is_the_longest_stall() -> None:
    looks = [at(2, 10, 11), Look(3, None), Look(4, None), at(5.5, 20, 21), at(10, 50, 51)]
    found = course(looks, READ, PACE, fault=2.0, since=2.0)
    assert found.stalled_seconds == 4.5
    assert [one.judged for one in found.samples] == [20, None, None, 40, 100]


def test_output_that_never_comes_is_no_recovery() -> None:
    found = course([at(2, 10, 11), at(9, 10, 11)], READ, PACE, fault=2.0, since=2.0)
    assert (found.recovery_seconds, found.caught_up_seconds) == (None, None)


def test_a_load_that_ended_before_the_fault_was_lifted_recovers_with_its_last_event() -> None:
    looks = [at(2, 10, 11), at(11, 10, 11), at(13, 38, 51), at(14, 50, 51)]
    found = course(looks, READ, PACE, fault=2.0, since=11.0)
    assert (found.recovery_seconds, found.caught_up_seconds) == (3.0, 3.0)


def test_the_lake_recovers_with_its_first_new_rows() -> None:
    way = course([at(2, 10, 11)], READ, PACE, fault=2.0, since=4.0)
    rows = [(-1.0, 7, -2.0), (1.0, 17, 0.5), (5.0, 27, 3.9), (6.0, 37, 5.9), (9.0, 97, 8.9)]
    landed = [Landed(*one) for one in rows]  # what is first seen at 5 was there before 4
    found = landing_course(landed, way, PACE, since=4.0, commit_seconds=1)
    assert (found.recovery_seconds, found.caught_up_seconds) == (2.0, 5.0)
