"""Each event once: the views ``clicks`` and ``purchases`` are cheap where few event_ids repeat.

The definition is ``metrics/views/*.sql``. It sorts every row with all that tells its arrival; here
only rows whose event_id may repeat go through it, and which may is seen by counting hashes. The
result is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

_FEW = 100_000
"""Hashes that are handed to every task; beyond it all rows go through the definition."""

_HASH = "arrival_hash"


def each_once(rows: DataFrame, raw_view: str, definition: str, columns: Sequence[str]) -> DataFrame:
    """What the definition keeps.

    Args:
        rows: the raw rows, with all that the definition reads.
        raw_view: the name by which the definition knows them; left as the name of ``rows``.
        definition: SQL of the view.
        columns: what to return.
    """
    repeated = _repeated(rows)
    if not repeated:
        return rows.select(*columns)
    if len(repeated) > _FEW:
        return _kept(rows, raw_view, definition).select(*columns)
    given = pa.table({_HASH: pa.array(repeated, pa.int64())})
    hashes = f.broadcast(rows.sparkSession.createDataFrame(given))
    hashed = rows.withColumn(_HASH, _hash())
    apart = hashed.join(hashes, _HASH, "left_semi").drop(_HASH)
    kept = _kept(apart, raw_view, definition).select(*columns)
    rows.createOrReplaceTempView(raw_view)
    return hashed.join(hashes, _HASH, "left_anti").select(*columns).union(kept)


def _repeated(rows: DataFrame) -> list[int]:
    """Hashes of (dt, event_id) that stand twice or more, at most one above ``_FEW``."""
    counted = rows.select(_hash().alias(_HASH)).groupBy(_HASH).count()
    return [row[0] for row in counted.where("count > 1").limit(_FEW + 1).collect()]


def _hash() -> Column:
    return f.xxhash64("dt", "event_id")


def _kept(rows: DataFrame, raw_view: str, definition: str) -> DataFrame:
    rows.createOrReplaceTempView(raw_view)
    return rows.sparkSession.sql(definition)
