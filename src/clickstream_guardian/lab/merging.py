"""Lines put into a file without moving a line of it, each where its time stands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.decode import Layout, decode_lines
from clickstream_guardian.lab.columns import Ints
from clickstream_guardian.sources.lines import iter_chunks

_NEVER = np.iinfo(np.int64).min


def merged(
    path: Path | None, layout: Layout, added: pl.DataFrame, received_at: datetime
) -> Iterator[bytes]:
    """The file's own lines, byte for byte, with the others among them.

    A line is put before the first one that is younger than it and than everything before: so it
    is not late where it stands, and makes no other line late that was not. In a file of sessions
    in a row, which is in no order of time, that is early in the file, and says nothing.

    Args:
        path: plain or compressed; what is written is plain. None for no line of its own.
        layout: its columns.
        added: ``occurred_at`` and ``line`` (without its newline), rising by time.
        received_at: when the file was first read; a line beyond it has no time.

    Raises:
        UsageError: a line of the file is too long to be a line.
    """
    times = added["occurred_at"].to_physical().to_numpy()
    lines = added["line"]
    begin, latest, ended = 0, _NEVER, True
    for chunk in iter_chunks(path) if path else ():
        if chunk.overlong is not None:
            raise UsageError(f"{path}: {chunk.overlong.detail}; take the line out first.")
        reached, starts = _reached(layout, chunk.data, received_at, latest)
        places = np.searchsorted(reached, times[begin:], "right")
        here = int(np.searchsorted(places, len(reached), "left"))
        yield from _woven(chunk.data, starts, places[:here], lines[begin : begin + here])
        begin += here
        latest = int(reached[-1]) if len(reached) else latest
        ended = chunk.data.endswith(b"\n")
    rest = _text(lines[begin:])
    yield rest if ended or not rest else b"\n" + rest


def _reached(layout: Layout, data: bytes, received_at: datetime, latest: int) -> tuple[Ints, Ints]:
    """The latest time up to and with each line, and the byte at which the line starts."""
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")) + 1
    starts = np.concatenate([[0], ends if len(ends) < 1 or ends[-1] < len(data) else ends[:-1]])
    reached = np.full(len(starts), _NEVER, dtype=np.int64)
    events = decode_lines(layout, data, received_at).events
    reached[events["line_number"].to_numpy() - 1] = events["occurred_at"].to_physical().to_numpy()
    reached[0] = max(reached[0], latest)
    return np.maximum.accumulate(reached), starts


def _woven(data: bytes, starts: Ints, places: Ints, lines: pl.Series) -> Iterator[bytes]:
    """A chunk with lines put before the lines at these places (rising)."""
    done = 0
    where, first = np.unique(places, return_index=True)
    for place, begin, end in zip(where, first, np.append(first, len(places))[1:], strict=True):
        start = int(starts[place])
        yield data[done:start]
        yield _text(lines[int(begin) : int(end)])
        done = start
    yield data[done:]


def _text(lines: pl.Series) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
