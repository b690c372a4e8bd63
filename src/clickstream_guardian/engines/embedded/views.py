"""The views that metrics read, as tables in DuckDB for a few days at a time.

Each is made once and read by several metrics. ``dt`` is a DATE here, which the SQL of the metrics
may not see (it only compares and groups by it): grouping by ten letters costs half as much again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from clickstream_guardian.engines.embedded.connection import quoted
from clickstream_guardian.engines.embedded.raw_files import (
    RAW_TABLES,
    as_column,
    create_table,
    select_files,
)
from clickstream_guardian.engines.embedded.repeats import insert_repeated, select_kept
from clickstream_guardian.events.fields import EVENT_KINDS, INGESTION_FIELDS, EventKind
from clickstream_guardian.metrics.loader import DAYS_VIEW, needed_views, read_fields
from clickstream_guardian.metrics.model import Metric

_UNIX_MILLIS = "CREATE OR REPLACE TEMP MACRO unix_millis(t) AS epoch_us(t) // 1000"
"""Spark's function of that name; DuckDB's own ``epoch_ms`` rounds where Spark cuts."""


@dataclass(frozen=True)
class RawDays:
    """Days to compute together, with the paths of their files by raw table and day."""

    dts: tuple[str, ...]
    files: Mapping[str, Mapping[str, Sequence[str]]]


def make_views(
    connection: duckdb.DuckDBPyConnection, metrics: Sequence[Metric], days: RawDays
) -> None:
    """Make every view that these metrics read, in place of those made before."""
    views = needed_views(metrics)
    connection.execute(_UNIX_MILLIS)
    dts = ", ".join(as_date(dt) for dt in days.dts)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {DAYS_VIEW} AS SELECT unnest([{dts}]) AS dt")
    definitions = {view.name: view.sql for view in views}
    for kind in EVENT_KINDS:
        columns = [as_column(name) for name in read_fields(kind, metrics)]
        events = _Events(connection, kind, days, columns)
        events.load()
        if kind.table in definitions:
            events.make_once_view(definitions[kind.table])
    make_views_over_events(connection, metrics)


def make_views_over_events(
    connection: duckdb.DuckDBPyConnection, metrics: Sequence[Metric]
) -> None:
    """Make the views that metrics read beside those of single events, of which they are made."""
    for view in needed_views(metrics):
        if view.name not in RAW_TABLES:
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {view.name} AS {view.sql}")


@dataclass(frozen=True)
class _Events:
    """The events of one kind on some days, with the columns that are needed."""

    connection: duckdb.DuckDBPyConnection
    kind: EventKind
    days: RawDays
    columns: Sequence[str]

    def load(self) -> None:
        """Read the rows into ``landed_<table>``, which is at first the view ``raw_<table>``."""
        table = self.kind.table
        self.connection.execute(create_table(f"no_{table}", RAW_TABLES[table]))
        self._make_table("landed", lambda by_name: self._files(self.columns, by_name))
        self._make_view(f"raw_{table}", f"FROM landed_{table}")

    def make_once_view(self, definition: str) -> None:
        """Make the view ``<table>``: each event once.

        Rows of ids that repeat, usually few, leave ``landed_<table>``; the view has of them what
        the definition keeps, and ``raw_<table>`` all.
        """
        table, raw_view, connection = self.kind.table, f"raw_{self.kind.table}", self.connection
        self._make_view(table, f"FROM landed_{table}")
        repeated = f"repeated_{table}"
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {repeated} (dt DATE, event_id BLOB)")
        if not insert_repeated(connection, f"landed_{table}", repeated):
            return
        columns = [*self.columns, "dt"]
        ingestion = [as_column(field.name) for field in INGESTION_FIELDS]
        self._make_table(
            "set_apart",
            lambda by_name: (
                f"SELECT * FROM ({self._files([*self.columns, *ingestion], by_name)}) "
                f"SEMI JOIN {repeated} USING (dt, event_id)"
            ),
        )
        apart = f"FROM set_apart_{table}"
        kept = select_kept(apart, raw_view, definition, columns)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE kept_{table} AS {kept}")
        connection.execute(
            f"DELETE FROM landed_{table} AS l USING {repeated} AS r "
            "WHERE l.dt = r.dt AND l.event_id = r.event_id"
        )
        selected = f"SELECT {', '.join(columns)} FROM"
        landed = f"{selected} landed_{table}"
        self._make_view(raw_view, f"{landed} UNION ALL {selected} set_apart_{table}")
        self._make_view(table, f"{landed} UNION ALL {selected} kept_{table}")

    def _make_table(self, prefix: str, select: Callable[[bool], str]) -> None:
        """Make a table of a SELECT, with or (if files differ) without the quicker reading."""
        make = f"CREATE OR REPLACE TEMP TABLE {prefix}_{self.kind.table} AS "
        try:
            self.connection.execute(make + select(False))
        except (duckdb.BinderException, duckdb.InvalidInputException):
            self.connection.execute(make + select(True))

    def _make_view(self, name: str, select: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {select}")

    def _files(self, columns: Sequence[str], by_name: bool) -> str:
        files, empty = self.days.files[self.kind.table], f"no_{self.kind.table}"
        return " UNION ALL ".join(
            select_files(
                [*columns, f"{as_date(dt)} AS dt"], files.get(dt, ()), empty, by_name=by_name
            )
            for dt in self.days.dts
        )


def as_date(dt: str) -> str:
    """A day as SQL."""
    return f"DATE {quoted(dt)}"
