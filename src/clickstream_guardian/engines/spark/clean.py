"""Clean numbers on Spark: the variants of the days at hand, through the SQL of the metrics."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from clickstream_guardian.metrics.clean import (
    BLAMED,
    BLAMED_DAYS,
    BLAMED_ITEMS,
    BLAMED_VISITS,
    EXCLUDED_SCHEMA,
    SELECT_BLAMED_DAYS,
    SELECT_BLAMED_ITEMS,
    SELECT_BLAMED_VISITS,
    VARIANTS,
    Variant,
)


def find_blamed(session: SparkSession, blamed: pa.Table) -> pa.Table:
    """The blamed sessions that have an event on the days whose views are made, by day."""
    f.broadcast(session.createDataFrame(blamed)).createOrReplaceTempView(BLAMED)
    visits = session.createDataFrame(session.sql(SELECT_BLAMED_VISITS).toArrow())
    visits.createOrReplaceTempView(BLAMED_VISITS)
    found = session.sql(SELECT_BLAMED_DAYS).toArrow()
    return found.select(EXCLUDED_SCHEMA.names).cast(EXCLUDED_SCHEMA)


def show_variants(session: SparkSession, excluded: pa.Table, variants: Sequence[Variant]) -> None:
    """Make the small views that tell of the variants, before those of events are replaced."""
    f.broadcast(session.createDataFrame(excluded)).createOrReplaceTempView(BLAMED_DAYS)
    items = session.createDataFrame(session.sql(SELECT_BLAMED_ITEMS).toArrow())
    items.createOrReplaceTempView(BLAMED_ITEMS)
    rows = [(v.dt, v.rule, v.is_after, v.label) for v in variants]
    shown = session.createDataFrame(rows, "dt string, rule string, is_after boolean, label string")
    f.broadcast(shown).createOrReplaceTempView(VARIANTS)


def find_days(
    session: SparkSession, raw: Sequence[DataFrame], sessions: Sequence[str], besides: Sequence[str]
) -> pa.Table:
    """On which days sessions have an event: ``dt`` and ``session_id``.

    Args:
        session: where to work.
        raw: the raw tables of events.
        sessions: whose days.
        besides: days not to be looked at.
    """
    sought = _sought(session, sessions)
    found = [
        rows.where(~f.col("dt").isin(list(besides)))
        .join(sought, "session_id", "left_semi")
        .select("dt", "session_id")
        for rows in raw
    ]
    return found[0].union(found[1]).distinct().toArrow()


def find_clients(
    session: SparkSession, raw: Sequence[DataFrame], sessions: Sequence[str], days: tuple[str, str]
) -> pa.Table:
    """Who sessions come from on days from the first to the last: ``session_id, user_id, ip``."""
    sought = _sought(session, sessions)
    found = [
        rows.where(f.col("dt").between(*days))
        .join(sought, "session_id", "left_semi")
        .select("session_id", "user_id", "ip")
        for rows in raw
    ]
    return found[0].union(found[1]).distinct().toArrow()


def _sought(session: SparkSession, sessions: Sequence[str]) -> DataFrame:
    given = pa.table({"session_id": pa.array(sessions, pa.string())})
    return f.broadcast(session.createDataFrame(given))
