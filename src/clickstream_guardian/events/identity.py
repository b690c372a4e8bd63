"""Stable identity: the same event, and the same anomaly, have the same id wherever they are seen.

An id is XXH3-128 (https://github.com/Cyan4973/xxHash, a published, versioned algorithm) of the
parts joined by the ASCII unit separator, as 16 bytes, big-endian. The session's length stands
before it, so that no choice of session and item text can pass for another. It is an identity and
no seal: see ``docs/decisions/0002-event-identity.md``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh
import pyarrow as pa
import xxhash

from clickstream_guardian.events.fields import EventKind

SEPARATOR = "\x1f"
_WORD = pl.Series([2**64], dtype=pl.UInt128)


def digest(*parts: str) -> bytes:
    """16-byte id of the given parts."""
    return xxhash.xxh3_128_digest(SEPARATOR.join(parts).encode())


def event_id(
    kind: EventKind,
    session_id: str,
    occurred_us: int,
    item_id: str,
    ordinal: int = 0,
    given_id: str | None = None,
) -> bytes:
    """Id of one event; ``event_ids`` computes the same for columns.

    Args:
        kind: click or purchase.
        session_id: the session.
        occurred_us: event time in microseconds since the epoch.
        item_id: the item.
        ordinal: 0 for the first of equal rows in one source, 1 for the second, …
        given_id: the id that the source itself gives; item and ordinal then play no part.
    """
    length = str(len(session_id.encode()))
    own = (
        ("id", "", length, session_id, given_id)
        if given_id is not None
        else ("at", str(ordinal), length, session_id, item_id)
    )
    return digest(kind.name, str(occurred_us), *own)


def event_ids(kind: EventKind, events: pl.DataFrame) -> pl.Series:
    """Ids of a frame, as ``UInt128`` (the 16 bytes read as one big-endian number).

    Args:
        kind: click or purchase.
        events: columns ``session_id``, ``occurred_at`` (microseconds), and either ``given_id``
            or ``item_id`` and ``ordinal``.
    """
    given = "given_id" in events.columns
    parts = [
        pl.lit(kind.name),
        pl.col("occurred_at").to_physical().cast(pl.String),
        pl.lit("id" if given else "at"),
        pl.lit("") if given else pl.col("ordinal").cast(pl.String),
        pl.col("session_id").str.len_bytes().cast(pl.String),
        pl.col("session_id"),
        pl.col("given_id" if given else "item_id"),
    ]
    text = events.select(pl.concat_str(parts, separator=SEPARATOR).alias("event_id"))
    return text.select(plh.col("event_id").nchash.xxh3_128()).to_series()


def ids_to_arrow(ids: pl.Series) -> pa.FixedSizeBinaryArray:
    """``UInt128`` ids as the 16 bytes that the lake and the log hold."""
    words = np.empty((len(ids), 2), dtype=">u8")
    words[:, 0] = (ids // _WORD).cast(pl.UInt64).to_numpy()
    words[:, 1] = ids.cast(pl.UInt64, wrap_numerical=True).to_numpy()
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(ids), [None, pa.py_buffer(words)]
    )


def ids_from_arrow(ids: pa.FixedSizeBinaryArray) -> pl.Series:
    """The inverse of ``ids_to_arrow``; ids are never null."""
    raw = np.frombuffer(ids.buffers()[1], dtype=np.uint8)
    return ids_from_octets(raw.reshape(-1, 16)[ids.offset : ids.offset + len(ids)])


def ids_from_octets(octets: npt.NDArray[np.uint8]) -> pl.Series:
    """Ids whose bytes are the rows of a matrix, 16 wide."""
    words = np.ascontiguousarray(octets).view(">u8")
    high = pl.Series(words[:, 0].astype(np.uint64)).cast(pl.UInt128)
    low = pl.Series(words[:, 1].astype(np.uint64)).cast(pl.UInt128)
    return (high * _WORD + low).alias("event_id")


def ids_as_hex(ids: pl.Series) -> pl.Series:
    """``UInt128`` ids as people see them, each 32 hex digits."""
    digits = ids_to_arrow(ids).buffers()[1].to_pybytes().hex().encode()
    offsets = np.arange(0, len(digits) + 1, 32, dtype=np.int64)
    texts = pa.LargeStringArray.from_buffers(len(ids), pa.py_buffer(offsets), pa.py_buffer(digits))
    return pl.Series("event_id", texts)


def id_hex(number: int) -> str:
    """A ``UInt128`` id as people see it: 32 hex digits."""
    return f"{number:032x}"


def anomaly_id(rule: str, version: int, key: str, window_start_us: int) -> str:
    """Id of an anomaly in hex: never an observed minimum, never the wall clock."""
    return digest("anomaly", rule, str(version), key, str(window_start_us)).hex()
