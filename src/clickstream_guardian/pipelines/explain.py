"""Explaining: an anomaly derived again from the raw events in the lake, by the same detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from clickstream_guardian.detector.advance import Arrival, advance
from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.detector.state import BucketState, DetectorConfig, PartitionKey
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.events.fields import CLICK, KIND_OF_NAME, PURCHASE, EventKind
from clickstream_guardian.events.identity import ids_from_arrow
from clickstream_guardian.events.rejections import RETRY_SOURCE
from clickstream_guardian.lake.lake import Lake

_EVENTS = """
    SELECT session_id, occurred_at, item_id, {about}, event_id, source, partition, "offset"
    FROM read_parquet(?, hive_partitioning=false, union_by_name=true)
    WHERE (session_id = ? OR ?) AND occurred_at >= ? AND occurred_at < ?
    ORDER BY occurred_at, event_id, source, partition, "offset"
"""
_ABOUT = {CLICK.name: "category", PURCHASE.name: "price, quantity"}
"""What else there is to see of an event, by kind."""
_AHEAD = """
    SELECT "offset", epoch_us(occurred_at) AS at
    FROM read_parquet(?, hive_partitioning=false, union_by_name=true)
    WHERE source = ? AND partition = ? AND "offset" < ? AND occurred_at > ?
    ORDER BY "offset"
"""


@dataclass(frozen=True)
class Explained:
    """An anomaly beside what the lake says today.

    Attributes:
        events: every raw row of the session in the window, with ``fate``: counted, late, duplicate.
        anomaly: what the detector makes of them; None if the rule does not hold on them.
    """

    events: pl.DataFrame
    anomaly: Anomaly | None


def explain(
    lake: Lake,
    config: DetectorConfig,
    rule: str,
    session_id: str,
    window_start: datetime,
    window_end: datetime,
) -> Explained:
    """Read the window's events from the lake, judge lateness and repeats anew, apply the rule.

    Raises:
        GuardianError: the rule is no longer in the catalogue.
    """
    rules = tuple(r for r in config.rules if r.name == rule)
    if not rules:
        raise GuardianError(f"Rule {rule} is not in the catalogue; add its file to explain it.")
    of_all = rules[0].members is not None
    kind = KIND_OF_NAME[rules[0].events]
    events = _events(lake, kind, session_id, window_start, window_end, of_all=of_all)
    fated = _with_fate(lake, kind, events, window_start, config.lateness_us)
    counted = fated.filter(pl.col("fate") == "counted")
    found = _judge(replace(config, rules=rules), counted)
    same = [a for a in found if a.window_start == window_start and a.session_id == session_id]
    own = fated.filter(pl.col("session_id") == session_id)
    return Explained(own, same[0] if same else None)


def _events(
    lake: Lake, kind: EventKind, session_id: str, start: datetime, end: datetime, *, of_all: bool
) -> pl.DataFrame:
    """The session's raw rows in the window, or everybody's for a rule on crowds."""
    last = end - timedelta(microseconds=1)
    files = lake.data_files(kind.table, f"{start:%Y-%m-%d}", f"{last:%Y-%m-%d}")
    wanted = {f"{start + timedelta(hours=h):%Y-%m-%d %H}" for h in range(_hours(start, last) + 1)}
    paths = [f.path for f in files if f"{f.dt} {f.hour}" in wanted]
    if not paths:
        raise GuardianError(
            f"The lake holds no {kind.table} of {start:%Y-%m-%d %H}h; was it replayed here?"
        )
    with duckdb.connect() as connection:
        lake.attach(connection)
        connection.execute("SET TimeZone = 'UTC'")
        asked = _EVENTS.format(about=_ABOUT[kind.name])
        query = connection.sql(asked, params=[paths, session_id, of_all, start, end])
        found: pa.Table = query.to_arrow_table()
    ids = found["event_id"].combine_chunks().cast(pa.binary(16))
    frame = pl.DataFrame(pl.from_arrow(found.drop_columns(["event_id"])))
    return frame.with_columns(ids_from_arrow(ids))


def _hours(start: datetime, last: datetime) -> int:
    first = start.replace(minute=0, second=0, microsecond=0)
    return int((last - first) / timedelta(hours=1))


def _with_fate(
    lake: Lake, kind: EventKind, events: pl.DataFrame, start: datetime, lateness_us: int
) -> pl.DataFrame:
    late = _late(lake, kind, events, start, lateness_us)
    marked = events.with_columns(late=pl.Series(late, dtype=pl.Boolean))
    repeat = pl.int_range(pl.len()).over("event_id", "late") > 0
    fate = pl.when("late").then(pl.lit("late")).when(repeat).then(pl.lit("duplicate"))
    return marked.with_columns(fate=fate.otherwise(pl.lit("counted"))).drop("late")


def _late(
    lake: Lake, kind: EventKind, events: pl.DataFrame, start: datetime, lateness_us: int
) -> Sequence[bool]:
    """Late by the order of each event's own partition, as the raw rows tell it.

    Only events newer than the window's start plus the lateness can make one of it late.
    """
    late = np.array((events["source"] == RETRY_SOURCE).to_numpy())
    floor = start + timedelta(microseconds=lateness_us)
    paths = [file.path for file in lake.data_files(kind.table, dt_from=f"{floor:%Y-%m-%d}")]
    if not paths:
        return list(late)
    at = events["occurred_at"].to_physical().to_numpy()
    offset = events["offset"].to_numpy()
    with duckdb.connect() as connection:
        lake.attach(connection)
        connection.execute("SET TimeZone = 'UTC'")
        for source, partition in events.select("source", "partition").unique().iter_rows():
            mine = ((events["source"] == source) & (events["partition"] == partition)).to_numpy()
            limit = int(offset[mine].max())
            ahead = connection.execute(
                _AHEAD, [paths, source, partition, limit, floor]
            ).fetchnumpy()
            if not len(ahead["offset"]):
                continue
            newest = np.maximum.accumulate(ahead["at"])
            place = np.searchsorted(ahead["offset"], offset[mine]) - 1
            known = place >= 0
            late[mine] |= known & (at[mine] < newest[np.maximum(place, 0)] - lateness_us)
    return list(late)


def _judge(config: DetectorConfig, events: pl.DataFrame) -> Sequence[Anomaly]:
    columns = events.select("session_id", "occurred_at", "item_id", "event_id")
    arrival = Arrival(PartitionKey("lake", 0), columns, len(events), ended=True)
    return advance(config, BucketState(), [arrival]).anomalies
