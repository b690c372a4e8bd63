"""Reconciliation: what came in is in the lake or among the rejections, source by source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from clickstream_guardian.events.fields import EVENT_KINDS
from clickstream_guardian.events.rejections import RETRY_SOURCE
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.reconcile import OffsetCheck, check_offsets
from clickstream_guardian.pipelines.daily import dirty_days
from clickstream_guardian.store import SourceRecord, Store, list_sources
from clickstream_guardian.store.dead_letters import list_retries
from clickstream_guardian.store.snapshots import LakeSnapshot, save_lake_snapshot

_TABLES = ("clicks", "purchases", "rejected")


@dataclass(frozen=True)
class SourceBalance:
    """One source: ``lines = landed + rejected`` once it is finished."""

    record: SourceRecord
    landed: int
    rejected: int

    @property
    def is_even(self) -> bool | None:
        """Whether the balance holds; None while the source is still being read."""
        if self.record.total_lines is None:
            return None
        return self.record.total_lines == self.landed + self.rejected


def balances(store: Store, lake: Lake) -> list[SourceBalance]:
    """The balance of every source, from the lake's manifests."""
    landed: dict[str, Counter[str]] = {}
    with duckdb.connect() as reader:
        lake.attach(reader)
        for table in _TABLES:
            landed[table] = Counter()
            for hour in lake.count_by_source_hour(table, reader):
                landed[table][hour.source.source] += hour.rows
    with store.begin() as connection:
        records = list_sources(connection)
    return [
        SourceBalance(
            record,
            landed["clicks"][record.source] + landed["purchases"][record.source],
            landed["rejected"][record.source],
        )
        for record in records
    ]


@dataclass(frozen=True)
class Imbalance:
    """Where what came in is not what lies in the lake.

    Attributes:
        place: the source for a person.
        where: the UTC hour (``2014-04-07 10``), or what of the source is compared.
        came_in: what reading the source counted.
        found: what lies in the lake.
    """

    source: str
    place: str
    where: str
    came_in: int
    found: int


@dataclass(frozen=True)
class Reconciliation:
    """The proof over every finished source: how much was compared, and what differs."""

    sources: int
    hours: int
    came_in: int
    landed: int
    rejected: int
    imbalances: tuple[Imbalance, ...]


def reconcile(store: Store, lake: Lake) -> Reconciliation:
    """Hold what reading each source counted, hour by hour, against the rows of the lake.

    Landed rows are compared by the hour of their event time, rejected ones by source, and the
    offsets of a source must lie in the lake once each, from 0 to its number of lines. The source
    ``retry`` is held against the retries that were claimed.
    """
    with duckdb.connect() as reader:
        lake.attach(reader)
        landed = _by_source(lake, reader, ("clicks", "purchases"))
        rejected = _by_source(lake, reader, ("rejected",))
        files = [file.path for table in _TABLES for file in lake.data_files(table)]
        offsets = {check.source.source: check for check in check_offsets(reader, files)}
    with store.begin() as connection:
        records = [one for one in list_sources(connection) if one.total_lines is not None]
        claimed = sum(len(list_retries(connection, kind.name, 0)) for kind in EVENT_KINDS)
    imbalances: list[Imbalance] = []
    for record in records:
        own = rejected.get(record.source, Counter()).total()
        imbalances += compare(
            record, landed.get(record.source, Counter()), own, offsets.get(record.source)
        )
    retried = landed.get(RETRY_SOURCE, Counter()).total()
    if retried != claimed:
        imbalances.append(Imbalance(RETRY_SOURCE, "dead letters retried", "all", claimed, retried))
    names = {record.source for record in records}
    return Reconciliation(
        len(records),
        sum(len(landed.get(name, ())) for name in names),
        sum(record.total_lines or 0 for record in records),
        sum(landed.get(name, Counter()).total() for name in names),
        sum(rejected.get(name, Counter()).total() for name in names),
        tuple(imbalances),
    )


def compare(
    record: SourceRecord, landed: Mapping[str, int], rejected: int, offsets: OffsetCheck | None
) -> list[Imbalance]:
    """The differences of one finished source. Pure.

    Args:
        record: what reading it counted.
        landed: its rows in the raw tables, by hour.
        rejected: its rows in ``raw.rejected``.
        offsets: how its offsets lie in the lake; None if it has no row there.
    """
    pairs = [("rejected", record.rejected_count or 0, rejected)]
    if record.events_by_hour is None:
        pairs.append(("landed", record.event_count or 0, sum(landed.values())))
    else:
        hours = sorted({*record.events_by_hour, *landed})
        pairs += [(h, record.events_by_hour.get(h, 0), landed.get(h, 0)) for h in hours]
    lines = record.total_lines or 0
    once = 0 if offsets is None else offsets.rows - offsets.repeated
    pairs.append(("offsets that are there", lines, once))
    pairs.append(("offsets that are there twice", 0, 0 if offsets is None else offsets.repeated))
    pairs.append(("last offset", lines - 1, -1 if offsets is None else offsets.offsets.last))
    return [
        Imbalance(record.source, record.place, where, came_in, found)
        for where, came_in, found in pairs
        if came_in != found
    ]


def _by_source(
    lake: Lake, reader: duckdb.DuckDBPyConnection, tables: Sequence[str]
) -> dict[str, Counter[str]]:
    """Rows by source and UTC hour over some tables."""
    found: dict[str, Counter[str]] = {}
    for table in tables:
        for hour in lake.count_by_source_hour(table, reader):
            counts = found.setdefault(hour.source.source, Counter())
            counts[f"{hour.dt} {hour.hour}"] += hour.rows
    return found


def note_lake(store: Store, lake: Lake) -> None:
    """Note the lake's totals in the database, for those who ask it alone (API, dashboard)."""
    rows = {t: sum(lake.day_counts(t).values()) for t in _TABLES}
    snapshot = LakeSnapshot(
        landed=rows["clicks"] + rows["purchases"],
        rejected=rows["rejected"],
        dirty_days=dirty_days(store, lake),
        difference=_difference(store, lake),
    )
    with store.begin() as connection:
        save_lake_snapshot(connection, snapshot)


def _difference(store: Store, lake: Lake) -> int | None:
    """What finished sources counted and the lake does not hold; None while one is being read."""
    with store.begin() as connection:
        records = list_sources(connection)
    if not records or any(record.total_lines is None for record in records):
        return None
    return sum(
        (one.record.total_lines or 0) - one.landed - one.rejected for one in balances(store, lake)
    )
