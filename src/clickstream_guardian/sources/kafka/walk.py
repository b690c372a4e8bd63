"""Reads one field of many Avro records at once: a cursor for each record, moved by whole columns.

A record whose bytes are not plainly right is marked ``doubtful`` and read by nobody further; what
it is (a rejection, or something rare but legal) is for the slow decoder to say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Octets = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

PADDING = 16
"""Bytes that must follow the last record in the buffer, so that a short record reads on."""
_LAST_SHIFT = 56  # nine octets, 63 bits: the longest number that is plainly one


class Walk:
    """Cursors over records that lie in one buffer, in order.

    Args:
        buffer: the bytes, ``PADDING`` more than the records need.
        start: where each record begins.
        end: where each record must end; never before its start.

    Attributes:
        doubtful: records that cannot be read on.
    """

    def __init__(self, buffer: Octets, start: Longs, end: Longs) -> None:
        self._buffer = buffer
        self._at = start.copy()
        self._end = end
        self.doubtful: Mask = np.zeros(len(start), dtype=np.bool_)

    def finish(self) -> Mask:
        """Which records are doubtful, now that all fields are read: also those with bytes left."""
        found: Mask = self.doubtful | (self._at != self._end)
        return found

    def number(self) -> Longs:
        """A zigzag varint of each record."""
        octets = self._buffer[self._at]
        value = (octets & 0x7F).astype(np.uint64)
        self._at += 1
        rest = np.flatnonzero(octets >= 0x80)
        shift = 7
        while len(rest) and shift <= _LAST_SHIFT:
            octets = self._buffer[self._at[rest]]
            value[rest] |= (octets & 0x7F).astype(np.uint64) << np.uint64(shift)
            self._at[rest] += 1
            rest = rest[octets >= 0x80]
            shift += 7
            self._stay_inside()
        self.doubtful[rest] = True
        self._stay_inside()
        half = (value >> np.uint64(1)).astype(np.int64)
        return half ^ -(value & np.uint64(1)).astype(np.int64)

    def fixed(self, size: int) -> Longs:
        """Pass so many bytes; where they began. Only of records that are not doubtful."""
        return self._pass(np.full(len(self._at), size))

    def sized(self) -> tuple[Longs, Longs]:
        """Pass bytes behind their length: where they began, and how many. Empty where doubtful."""
        length = self.number()
        wrong = (length < 0) | (length > self._end - self._at)
        self.doubtful |= wrong
        length[wrong] = 0
        return self._pass(length), length

    def text(self) -> pa.LargeStringArray:
        """Text of each record; empty where it is no UTF-8, which makes a record doubtful."""
        start, length = self.sized()
        octets = self._slices(start, length)
        try:
            return octets.cast(pa.large_string())
        except pa.ArrowInvalid:
            wrong = np.array([not _is_text(value) for value in octets.to_pylist()])
            self.doubtful |= wrong
            return self._slices(start, np.where(wrong, 0, length)).cast(pa.large_string())

    def bytes_at(self, start: Longs, size: int) -> Octets:
        """So many bytes of each record, as rows of a matrix."""
        windows = np.lib.stride_tricks.sliding_window_view(self._buffer, size)
        found: Octets = windows[np.minimum(start, len(windows) - 1)]
        return found

    def branch(self, chosen: Mask) -> Walk:
        """Cursors over the chosen records alone; hand them to ``rejoin`` when they have moved."""
        return Walk(self._buffer, self._at[chosen], self._end[chosen])

    def rejoin(self, chosen: Mask, branch: Walk) -> None:
        """Go on from where the cursors of ``branch`` stand."""
        self._at[chosen] = branch._at
        self.doubtful[chosen] |= branch.doubtful

    def _pass(self, size: Longs) -> Longs:
        start = self._at.copy()
        self._at += size
        self._stay_inside()
        return start

    def _stay_inside(self) -> None:
        beyond = self._at > self._end
        if beyond.any():
            self.doubtful |= beyond
            np.minimum(self._at, self._end, out=self._at)

    def _slices(self, start: Longs, length: Longs) -> pa.LargeBinaryArray:
        """Bytes of each record as an array; the buffer is taken for one of slices and gaps."""
        bounds = np.empty(2 * len(start) + 1, dtype=np.int64)
        bounds[0:-1:2] = start
        bounds[1::2] = start + length
        bounds[-1] = len(self._buffer)
        both: Any = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(),
            2 * len(start),
            [None, pa.py_buffer(bounds), pa.py_buffer(self._buffer)],
        )
        return both.take(pa.array(np.arange(0, 2 * len(start), 2)))


def _is_text(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
