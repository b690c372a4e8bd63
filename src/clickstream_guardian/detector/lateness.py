"""Lateness, judged per event from the order of its own source partition and nothing else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Micros = npt.NDArray[np.int64]
NEVER = np.iinfo(np.int64).min
"""Stands for "nothing seen yet" where a time in microseconds is expected."""
ALWAYS = np.iinfo(np.int64).max
"""Stands for "nothing more will come"."""


def late_mask(
    occurred_us: Micros, newest_before_us: int, lateness_us: int
) -> npt.NDArray[np.bool_]:
    """Which events are late.

    An event is late when it is older than the newest event before it in its partition minus the
    allowed lateness. How the partition is cut into calls plays no part.

    Args:
        occurred_us: event times in partition order.
        newest_before_us: newest event time before the first of them, or ``NEVER``.
        lateness_us: the allowed lateness in microseconds.
    """
    newest = np.maximum.accumulate(np.concatenate(([newest_before_us], occurred_us)))[:-1]
    floor = np.where(newest == NEVER, NEVER, newest - lateness_us)
    return occurred_us < floor


def newest_after(occurred_us: Micros, newest_before_us: int) -> int:
    """The newest event time once these events have been seen."""
    return max(newest_before_us, int(occurred_us.max())) if len(occurred_us) else newest_before_us
