"""Events as lines of text, exactly as the data set writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt

from clickstream_guardian.lab.columns import Clicks, Columns, Ints, Purchases
from clickstream_guardian.lab.days import DAY_MS

Texts = npt.NDArray[np.bytes_]
Column = tuple[Texts, npt.NDArray[np.integer] | None]
"""A table of texts and the row of it that each line shows, or the texts themselves."""

_EPOCH = date(1970, 1, 1)
_SECOND_MS = 1_000
_LOW_DIGITS = 10_000
_CLICK, _PURCHASE = 1, 2


def _table(texts: Sequence[str]) -> Texts:
    return np.array([text.encode("ascii") for text in texts])


_MILLISECONDS = _table([f"{ms:03}Z" for ms in range(_SECOND_MS)])
_ZERO_PADDED = _table([f"{n:04}" for n in range(_LOW_DIGITS)])
_PLAIN = _table([str(n) for n in range(_LOW_DIGITS)])
_COMMA, _END = _table([","]), _table(["\n"])


@cache
def _seconds() -> Texts:
    return _table(
        [f"T{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}." for s in range(DAY_MS // _SECOND_MS)]
    )


@cache
def _hex() -> Texts:
    return _table([f"{n:04x}" for n in range(1 << 16)])


@dataclass(frozen=True)
class LineWriter:
    """Turns events into lines; with a seed it adds an event id as one more last column."""

    items: Texts
    categories: Texts
    id_seed: int | None = None

    def clicks(self, clicks: Clicks) -> bytes:
        """`session,timestamp,item,category` a line."""
        columns = [
            *self._common(clicks, clicks.item),
            (_COMMA, None),
            (self.categories, clicks.category),
        ]
        return _join([*columns, *self._event_id(clicks, _CLICK)], len(clicks))

    def purchases(self, purchases: Purchases) -> bytes:
        """`session,timestamp,item,price,quantity` a line."""
        columns = [
            *self._common(purchases, purchases.item),
            (_COMMA, None),
            *_number(purchases.price.astype(np.int64)),
            (_COMMA, None),
            *_number(purchases.quantity.astype(np.int64)),
        ]
        extra = self._event_id(purchases, _PURCHASE)
        return _join([*columns, *extra], len(purchases))

    def _common(self, rows: Columns, item: npt.NDArray[np.int32]) -> list[Column]:
        return [
            *_number(rows.session_id),
            (_COMMA, None),
            *_instant(rows.at_ms),
            (_COMMA, None),
            (self.items, item),
        ]

    def _event_id(self, rows: Columns, kind: int) -> list[Column]:
        if self.id_seed is None:
            return []
        event = (rows.session_id.astype(np.uint64) << np.uint64(20)) + rows.ordinal.astype(
            np.uint64
        )
        first = _mix(event, self.id_seed * 4 + kind)
        second = _mix(first ^ event, self.id_seed * 4 + kind + 2)
        words = [half >> np.uint64(bits) for half in (first, second) for bits in (48, 32, 16, 0)]
        return [
            (_COMMA, None),
            *((_hex(), (word & np.uint64(0xFFFF)).astype(int)) for word in words),
        ]


def text_table(texts: Sequence[str]) -> Texts:
    """Texts to choose from by index."""
    return _table(texts)


def _mix(value: npt.NDArray[np.uint64], salt: int) -> npt.NDArray[np.uint64]:
    """splitmix64: every input gives another output, far from its neighbours'."""
    mixed = value + np.uint64((salt * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % (1 << 64))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _number(values: Ints) -> list[Column]:
    """Digits of numbers below 10^12, without leading zeros."""
    high, low = np.divmod(values, _LOW_DIGITS)
    if not len(values) or high.max() == 0:
        return [(_PLAIN, low)]
    highest, high = np.divmod(high, _LOW_DIGITS)
    blank = np.concatenate([[b""], _PLAIN[1:]])
    return [
        (blank, highest),
        (np.concatenate([blank, _ZERO_PADDED]), high + _LOW_DIGITS * (highest > 0)),
        (np.concatenate([_PLAIN, _ZERO_PADDED]), low + _LOW_DIGITS * (values >= _LOW_DIGITS)),
    ]


def _instant(at_ms: Ints) -> list[Column]:
    """`2014-04-07T10:51:09.277Z`."""
    seconds, ms = np.divmod(at_ms, _SECOND_MS)
    days, second = np.divmod(seconds, DAY_MS // _SECOND_MS)
    first = int(days.min()) if len(days) else 0
    last = int(days.max()) if len(days) else 0
    dates = _table([(_EPOCH + timedelta(days=n)).isoformat() for n in range(first, last + 1)])
    return [(dates, days - first), (_seconds(), second), (_MILLISECONDS, ms)]


def _join(columns: Sequence[Column], count: int) -> bytes:
    """Fixed-width rows padded by zero bytes, which are then dropped."""
    columns = [*columns, (_END, None)]
    layout = np.dtype([(f"c{n}", table.dtype) for n, (table, _) in enumerate(columns)])
    rows = np.empty(count, dtype=layout)
    for name, (table, index) in zip(layout.names or (), columns, strict=True):
        rows[name] = table[0] if index is None else table[index]
    padded = rows.view(np.uint8)
    lines: bytes = padded[padded != 0].tobytes()
    return lines
