"""Stable identity: the same event, and the same anomaly, have the same id wherever they are seen.

An id is XXH3-128 (https://github.com/Cyan4973/xxHash, a published, versioned algorithm) of the
parts joined by the ASCII unit separator, as 16 bytes, big-endian. It is an identity and no seal:
see ``docs/decisions/0002-event-identity.md``.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import polars_hash as plh
import xxhash

from clickstream_guardian.events.fields import EventKind

SEPARATOR = "\x1f"
Id16 = bytes


def digest(*parts: str) -> Id16:
    """16-byte id of the given parts."""
    return xxhash.xxh3_128_digest(SEPARATOR.join(parts).encode())


def event_id(
    kind: EventKind,
    session_id: str,
    occurred_us: int,
    item_id: str,
    ordinal: int = 0,
    given_id: str | None = None,
) -> Id16:
    """Id of one event; ``event_ids`` computes the same for columns.

    Args:
        kind: click or purchase.
        session_id: the session.
        occurred_us: event time in microseconds since the epoch.
        item_id: the item.
        ordinal: 0 for the first of equal rows in one source, 1 for the second, …
        given_id: the id that the source itself gives; item and ordinal then play no part.
    """
    if given_id is not None:
        return digest(kind.name, session_id, str(occurred_us), "id", given_id)
    return digest(kind.name, session_id, str(occurred_us), "at", item_id, str(ordinal))


def event_ids(kind: EventKind, events: pl.DataFrame) -> pl.Series:
    """Ids (16-byte ``Binary``) of a frame.

    Args:
        kind: click or purchase.
        events: columns ``session_id``, ``occurred_at`` (microseconds), and either ``given_id``
            or ``item_id`` and ``ordinal``.
    """
    given = "given_id" in events.columns
    parts = [
        pl.lit(kind.name),
        pl.col("session_id"),
        pl.col("occurred_at").to_physical().cast(pl.String),
        *(
            [pl.lit("id"), pl.col("given_id")]
            if given
            else [pl.lit("at"), pl.col("item_id"), pl.col("ordinal").cast(pl.String)]
        ),
    ]
    text = events.select(pl.concat_str(parts, separator=SEPARATOR).alias("text"))
    number = text.select(plh.col("text").nchash.xxh3_128()).to_series()
    return _as_bytes(number).alias("event_id")


def _as_bytes(number: pl.Series) -> pl.Series:
    import pyarrow as pa

    raw = number.to_arrow()
    words = np.frombuffer(raw.buffers()[1], dtype=np.uint8, count=16 * (len(raw) + raw.offset))
    big_endian = words.reshape(-1, 16)[raw.offset :, ::-1].copy()
    ids = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(raw), [None, pa.py_buffer(big_endian)]
    )
    return pl.Series("event_id", ids.cast(pa.large_binary()))


def anomaly_id(rule: str, version: int, key: str, window_start_us: int) -> str:
    """Id of an anomaly in hex: never an observed minimum, never the wall clock."""
    return digest("anomaly", rule, str(version), key, str(window_start_us)).hex()
