"""The lake's Parquet files as SQL for DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import pyarrow as pa

from clickstream_guardian.engines.embedded.connection import quoted
from clickstream_guardian.events.fields import (
    EVENT_KINDS,
    PARTITION_FIELDS,
    REJECTION_FIELDS,
    Field,
    FieldType,
)
from clickstream_guardian.events.schemas import raw_fields

RAW_TABLES: dict[str, tuple[Field, ...]] = {kind.table: raw_fields(kind) for kind in EVENT_KINDS}
"""The raw tables of events, with their columns."""

REJECTED_TABLE: tuple[Field, ...] = (*REJECTION_FIELDS, *PARTITION_FIELDS)
"""The columns of the raw table ``rejected``."""

_TYPES = {
    FieldType.ID16: "BLOB",
    FieldType.STRING: "VARCHAR",
    FieldType.INSTANT: "TIMESTAMPTZ",
    FieldType.MONEY: "DECIMAL(12, 2)",
    FieldType.INTEGER: "INTEGER",
    FieldType.LONG: "BIGINT",
}


class DataFile(Protocol):
    """A Parquet file of the lake on a local disk, and the day it belongs to."""

    @property
    def path(self) -> str:
        """Absolute path, or a ``file://`` address."""

    @property
    def dt(self) -> str:
        """The UTC day of its rows."""


class RawFiles(Protocol):
    """What the embedded engine needs of a lake."""

    def data_files(
        self, table: str, dt_from: str | None = None, dt_to: str | None = None
    ) -> Sequence[DataFile]:
        """The files of a raw table (``clicks``) of the days from ``dt_from`` to ``dt_to``."""

    def further_columns(self, table: str) -> pa.Schema:
        """The columns that a table has beyond the fields that this version knows."""


def paths_by_day(files: Iterable[DataFile]) -> dict[str, list[str]]:
    """Local paths by day, both sorted."""
    by_day: dict[str, list[str]] = {}
    for file in files:
        by_day.setdefault(file.dt, []).append(local_path(file))
    return {dt: sorted(by_day[dt]) for dt in sorted(by_day)}


def local_path(file: DataFile) -> str:
    """Where DuckDB finds it."""
    return file.path.removeprefix("file://")


def create_table(name: str, fields: Iterable[Field]) -> str:
    """A statement that makes a table of these columns, without rows."""
    columns = ", ".join(f"{as_column(field.name)} {_TYPES[field.type]}" for field in fields)
    return f"CREATE OR REPLACE TABLE {name} ({columns})"


def as_column(name: str) -> str:
    """A column's name as SQL; ``offset`` and ``partition`` are words of SQL too."""
    return f'"{name}"'


def select_files(
    columns: Sequence[str],
    paths: Sequence[str],
    empty_table: str,
    *,
    by_name: bool = False,
    by_folder: bool = False,
) -> str:
    """A SELECT of columns from files.

    Args:
        columns: names, or expressions over the names of ``empty_table``.
        paths: Parquet files; may be none.
        empty_table: a table without rows that has every column with its type.
        by_name: whether files may lack columns (written before a field was added); slower.
        by_folder: take ``dt`` and ``hour`` from the folders, so that a filter on them leaves the
            other files unopened.
    """
    selected = ", ".join(columns)
    if not paths:
        return f"SELECT {selected} FROM {empty_table}"
    listed = ", ".join(quoted(path) for path in paths)
    options = (
        "hive_partitioning=true, hive_types={'dt': VARCHAR, 'hour': VARCHAR}"
        if by_folder
        else "hive_partitioning=false"
    )
    if not by_name:
        return f"SELECT {selected} FROM read_parquet([{listed}], {options})"
    files = f"read_parquet([{listed}], {options}, union_by_name=true)"
    together = f"SELECT * FROM {files} UNION ALL BY NAME SELECT * FROM {empty_table}"
    return f"SELECT {selected} FROM ({together})"
