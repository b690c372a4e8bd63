"""The views that metrics read, as tables in DuckDB for a few days at a time.

Each is made once and read by several metrics. ``dt`` is a DATE here, which the SQL of the metrics
may not see (it only compares and groups by it): grouping by ten letters costs half as much again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from clickstream_guardian.engines.embedded.connection import quoted
from clickstream_guardian.engines.embedded.raw_files import (
    RAW_TABLES,
    as_column,
    create_table,
    select_files,
)
from clickstream_guardian.engines.embedded.repeats import (
    has_repeats,
    select_once,
    select_repeated,
)
from clickstream_guardian.events.fields import EVENT_KINDS, INGESTION_FIELDS, EventKind
from clickstream_guardian.metrics.loader import DAYS_VIEW, needed_views
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
    dts = ", ".join(_date(dt) for dt in days.dts)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {DAYS_VIEW} AS SELECT unnest([{dts}]) AS dt")
    definitions = {view.name: view.sql for view in views}
    texts = [*(metric.sql for metric in metrics), *definitions.values()]
    for kind in EVENT_KINDS:
        events = _Events(connection, kind, days, _mentioned(kind, texts))
        events.make_raw_view()
        if kind.table in definitions:
            events.make_once_view(definitions[kind.table])
    for name, sql in definitions.items():
        if name not in RAW_TABLES:
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}")


def _mentioned(kind: EventKind, texts: Sequence[str]) -> list[str]:
    """The event's columns that the SQL speaks of; the others are not read from the files."""
    words = {word for text in texts for word in re.findall(r"\w+", text)}
    return [as_column(name) for name in kind.field_names if name in words or name == "event_id"]


@dataclass(frozen=True)
class _Events:
    """The events of one kind on some days, with the columns that are needed."""

    connection: duckdb.DuckDBPyConnection
    kind: EventKind
    days: RawDays
    columns: Sequence[str]

    @property
    def raw_view(self) -> str:
        return f"raw_{self.kind.table}"

    def make_raw_view(self) -> None:
        """``raw_<table>``: every row."""
        table = self.kind.table
        self.connection.execute(create_table(f"no_{table}", RAW_TABLES[table]))
        make = f"CREATE OR REPLACE TEMP TABLE {self.raw_view} AS "
        try:
            self.connection.execute(make + self._landed(self.columns))
        except (duckdb.BinderException, duckdb.InvalidInputException):
            self.connection.execute(make + self._landed(self.columns, by_name=True))

    def make_once_view(self, definition: str) -> None:
        """``<table>``: each event once."""
        table, source = self.kind.table, self.raw_view
        if has_repeats(self.connection, self.raw_view):
            source, repeated = f"once_{table}", f"repeated_{table}"
            self.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {repeated} AS {select_repeated(self.raw_view)}"
            )
            ingestion = [as_column(field.name) for field in INGESTION_FIELDS]
            landed = self._landed([*self.columns, *ingestion], by_name=True)
            columns = [*self.columns, "dt"]
            once = select_once(self.raw_view, repeated, self.raw_view, definition, landed, columns)
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {source} AS {once}")
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {table} AS FROM {source}")

    def _landed(self, columns: Sequence[str], *, by_name: bool = False) -> str:
        files, empty = self.days.files[self.kind.table], f"no_{self.kind.table}"
        return " UNION ALL ".join(
            select_files(
                [*columns, f"{_date(dt)} AS dt"], files.get(dt, ()), empty, by_name=by_name
            )
            for dt in self.days.dts
        )


def _date(dt: str) -> str:
    return f"DATE {quoted(dt)}"
