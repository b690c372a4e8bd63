"""The sources that were read: which, how far, with what outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, null, select
from sqlalchemy.dialects.postgresql import insert

from clickstream_guardian.store.tables import sources


@dataclass(frozen=True)
class SourceRecord:
    """One source.

    Attributes:
        source: its name: of a file the hash of its bytes, of a topic the topic.
        place: where it was found, for a person.
        bytes: its size.
        received_at: the arrival time given to all its events; kept when it is begun again.
        first_lines: how many of its lines were asked for; None for all.
        line_columns: which field each column of its lines is; None if it was not noted.
        events_by_hour: events decoded, by UTC hour (``2014-04-07 10``), known once finished.
        total_lines, event_count, rejected_count, late_count: known once finished.
        rejected_by_reason: rejections by reason code.
        status: ``running`` or ``finished``.
    """

    source: str
    kind: str
    place: str
    bytes: int
    replay_order: str
    received_at: datetime
    first_lines: int | None = None
    line_columns: Sequence[str] | None = None
    events_by_hour: Mapping[str, int] | None = None
    total_lines: int | None = None
    event_count: int | None = None
    rejected_count: int | None = None
    rejected_by_reason: Mapping[str, int] = field(default_factory=dict)
    late_count: int | None = None
    status: str = "running"
    started_at: datetime | None = None
    finished_at: datetime | None = None


def begin_source(connection: Connection, record: SourceRecord) -> SourceRecord:
    """Note that a source is being read; one begun before keeps what it had and is returned.

    The caller sees by ``status`` whether it was finished already, and goes on with the stored
    ``received_at``, so that a resumed run gives its events the same arrival time.
    """
    given = {
        name: getattr(record, name)
        for name in ("source", "kind", "place", "bytes", "replay_order", "received_at")
    }
    given |= {"first_lines": record.first_lines, "status": "running"}
    if record.line_columns is not None:
        given["line_columns"] = list(record.line_columns)
    connection.execute(insert(sources).values(given).on_conflict_do_nothing())
    stored = get_source(connection, record.source)
    assert stored is not None
    return stored


def reopen_source(connection: Connection, source: str, first_lines: int | None) -> None:
    """Set a finished source running again, to read it further than before."""
    connection.execute(
        sources.update()
        .where(sources.c.source == source)
        .values(status="running", finished_at=None, first_lines=first_lines)
    )


def finish_source(
    connection: Connection,
    source: str,
    *,
    total_lines: int,
    event_count: int,
    rejected_by_reason: Mapping[str, int],
    late_count: int,
    events_by_hour: Mapping[str, int] | None = None,
) -> None:
    """Note that a source was read to its end; doing it again changes nothing but the counts."""
    connection.execute(
        sources.update()
        .where(sources.c.source == source)
        .values(
            total_lines=total_lines,
            event_count=event_count,
            rejected_count=sum(rejected_by_reason.values()),
            rejected_by_reason=dict(rejected_by_reason),
            late_count=late_count,
            events_by_hour=null() if events_by_hour is None else dict(events_by_hour),
            status="finished",
            finished_at=func.coalesce(sources.c.finished_at, func.now()),
        )
    )


def get_source(connection: Connection, source: str) -> SourceRecord | None:
    """The record of a source; None if it was never begun."""
    found = connection.execute(select(sources).where(sources.c.source == source))
    row = found.mappings().one_or_none()
    return None if row is None else _record(row)


def list_sources(connection: Connection) -> list[SourceRecord]:
    """All sources, in the order they were begun."""
    found = connection.execute(select(sources).order_by(sources.c.started_at, sources.c.source))
    return [_record(row) for row in found.mappings()]


def _record(row: RowMapping) -> SourceRecord:
    return SourceRecord(**dict(row))
