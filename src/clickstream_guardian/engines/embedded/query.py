"""One SELECT of a person over the lake, the anomalies and the metrics (``guardian sql``).

The query can read the lake and the tables given, and nothing else: no other file, no network, no
Python variable; and it can change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

import duckdb
import pyarrow as pa

from clickstream_guardian.engines.embedded.connection import (
    DuckDbLimits,
    one_sentence,
    open_duckdb,
    quoted,
)
from clickstream_guardian.engines.embedded.raw_files import (
    RAW_TABLES,
    REJECTED_TABLE,
    RawFiles,
    as_column,
    create_table,
    paths_by_day,
    select_files,
)
from clickstream_guardian.engines.embedded.repeats import insert_repeated, select_kept
from clickstream_guardian.engines.embedded.select_only import refuse_all_but_select
from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.events.fields import Field, FieldType
from clickstream_guardian.metrics.loader import load_engine_views

_DAYS_AT_A_TIME = 16
_SHOW_TABLES = re.compile(r"\s*show\s+tables\s*")
_LISTS_COLUMNS = re.compile(r"\b(show|information_schema|duckdb_\w+|sqlite_master)\b")


@dataclass(frozen=True)
class _RawTable:
    """A raw table of the lake: its rows with binary ids are the view ``lake.<name>``."""

    name: str
    fields: tuple[Field, ...]
    further: pa.Schema
    files: Mapping[str, Sequence[str]]

    @property
    def paths(self) -> list[str]:
        """All files."""
        return [path for paths in self.files.values() for path in paths]

    @property
    def shown_as(self) -> str:
        """The view that shows every row to people."""
        return f"raw_{self.name}" if self.name in RAW_TABLES else self.name

    @property
    def lies_in_folders(self) -> bool:
        """Whether the files lie under ``dt=…/hour=…``, as the lake's own writers put them."""
        return all(f"/dt={dt}/hour=" in path for dt, paths in self.files.items() for path in paths)

    @property
    def columns(self) -> list[str]:
        """The columns, as SQL."""
        return [as_column(field.name) for field in (*self.fields, *self.further)]

    @property
    def shown(self) -> str:
        """The columns as people read them: ids in hex."""
        return ", ".join(
            f"lower(hex({as_column(field.name)})) AS {as_column(field.name)}"
            if field.type is FieldType.ID16
            else as_column(field.name)
            for field in (*self.fields, *self.further)
        )


class QueryEngine:
    """A database in memory with the views a person may read; a context manager.

    ``raw_clicks``, ``raw_purchases`` and ``rejected`` hold every row of the lake, ``clicks`` and
    ``purchases`` each event once (by the definition that the metrics read); ids are hex, ``dt``
    is text. The lake's files are those of the moment it is made.
    """

    def __init__(
        self,
        lake: RawFiles,
        tables: Mapping[str, Callable[[], pa.Table]],
        limits: DuckDbLimits,
    ) -> None:
        """Args:
        lake: where the raw files are listed.
        tables: further tables by name; each is asked for its rows when a query names it.
        limits: what the database may use.
        """
        self._raw = _list_lake(lake)
        self._tables = tables
        self._limits = limits
        self._open = ExitStack()
        self._given: set[str] = set()

    def __enter__(self) -> Self:
        self._connection = self._open.enter_context(open_duckdb(self._limits))
        try:
            self._connection.execute("CREATE SCHEMA lake")
            for table in self._raw.values():
                self._make_empty_table(table)
                self._make_raw_views(table)
            self._shut_out()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def run(self, sql: str) -> pa.Table:
        """The rows of one SELECT (DESCRIBE and SHOW TABLES count as one).

        Raises:
            UsageError: it is no single SELECT, or DuckDB refuses it.
            GuardianError: it cannot be answered for want of memory, or of a file.
        """
        try:
            refuse_all_but_select(self._connection, sql)
            self._make_what_is_named(sql.lower())
            return self._answer(sql)
        except duckdb.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: duckdb.Error) -> GuardianError:
        sentence = one_sentence(error)
        if isinstance(error, duckdb.OutOfMemoryException):
            return GuardianError(
                f"The query needs more memory than it may use: {sentence}; narrow it, for example "
                "to a day (WHERE dt = '2014-04-07')."
            )
        gone = isinstance(error, duckdb.PermissionException) and any(
            path in sentence for table in self._raw.values() for path in table.paths
        )
        if gone or isinstance(error, duckdb.IOException | duckdb.InternalException):
            return GuardianError(
                f"The query cannot be answered, the lake may have changed meanwhile: {sentence}; "
                "run it again."
            )
        return UsageError(
            f"The query is not understood: {sentence}; "
            '`guardian sql "SHOW TABLES"` lists what can be read.'
        )

    def _answer(self, sql: str) -> pa.Table:
        try:
            return _plain_integers(self._connection.sql(sql).to_arrow_table())
        except duckdb.InvalidInputException as error:
            if "union_by_name" not in str(error):
                raise
        for table in self._raw.values():
            self._make_raw_views(table, by_name=True)
        return _plain_integers(self._connection.sql(sql).to_arrow_table())

    def _make_empty_table(self, table: _RawTable) -> None:
        name = f"lake.no_{table.name}"
        self._connection.execute(create_table(name, table.fields))
        if not len(table.further):
            return
        types = self._connection.from_arrow(table.further.empty_table()).types
        for column, type_ in zip(table.further.names, types, strict=True):
            self._connection.execute(f"ALTER TABLE {name} ADD COLUMN {as_column(column)} {type_}")

    def _make_raw_views(self, table: _RawTable, *, by_name: bool = False) -> None:
        """Make ``lake.<name>`` with binary ids and, for people, ``raw_<name>`` or ``rejected``."""
        files = select_files(
            table.columns,
            table.paths,
            f"lake.no_{table.name}",
            by_name=by_name,
            by_folder=table.lies_in_folders,
        )
        try:
            self._connection.execute(f"CREATE OR REPLACE VIEW lake.{table.name} AS {files}")
        except duckdb.BinderException:
            if by_name:
                raise
            self._make_raw_views(table, by_name=True)
            return
        shown = f"SELECT {table.shown} FROM lake.{table.name}"
        self._connection.execute(f"CREATE OR REPLACE VIEW {table.shown_as} AS {shown}")

    def _shut_out(self) -> None:
        """From here on no file but the lake's can be opened, and no setting changed."""
        paths = [path for table in self._raw.values() for path in table.paths]
        listed = ", ".join(quoted(path) for path in paths)
        self._connection.execute(f"SET allowed_paths = [{listed}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def _make_what_is_named(self, sql: str) -> None:
        """Make the views and tables that cost something, if the query names them."""
        if _SHOW_TABLES.fullmatch(sql):
            self._make_names()
            return
        words = set(re.findall(r"\w+", sql))
        every = bool(_LISTS_COLUMNS.search(sql))
        for view in load_engine_views():
            if view.name in self._raw and (every or view.name in words):
                self._make_once_view(self._raw[view.name], view.sql)
        for name, rows in self._tables.items():
            if name not in self._given and (every or name in words):
                self._given.add(name)
                self._connection.execute(f"DROP VIEW IF EXISTS {name}")
                self._connection.register(name, _days_as_text(rows()))

    def _make_names(self) -> None:
        """Have everything that can be read in the list of tables, at no cost."""
        for name in (*self._tables, *RAW_TABLES):
            if name not in self._given:
                self._connection.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT NULL AS name")

    def _make_once_view(self, table: _RawTable, definition: str) -> None:
        if table.name in self._given:
            return
        self._given.add(table.name)
        repeated = f"lake.repeated_{table.name}"
        self._connection.execute(f"CREATE TABLE {repeated} (dt VARCHAR, event_id BLOB)")
        days = sorted(table.files)
        for start in range(0, len(days), _DAYS_AT_A_TIME):
            part = days[start : start + _DAYS_AT_A_TIME]
            range_ = f"dt BETWEEN {quoted(part[0])} AND {quoted(part[-1])}"
            rows = f"(SELECT dt, event_id FROM lake.{table.name} WHERE {range_})"
            insert_repeated(self._connection, rows, repeated)
        by_id = f"{repeated} USING (dt, event_id)"
        once = f"SELECT {', '.join(table.columns)} FROM lake.{table.name} ANTI JOIN {by_id}"
        apart = f"FROM lake.{table.name} SEMI JOIN {by_id}"
        once += f" UNION ALL {select_kept(apart, table.shown_as, definition, table.columns)}"
        shown = f"SELECT {table.shown} FROM ({once})"
        self._connection.execute(f"CREATE OR REPLACE VIEW {table.name} AS {shown}")


def _list_lake(lake: RawFiles) -> dict[str, _RawTable]:
    tables = RAW_TABLES | {"rejected": REJECTED_TABLE}
    return {
        name: _RawTable(
            name, fields, lake.further_columns(name), paths_by_day(lake.data_files(name))
        )
        for name, fields in tables.items()
    }


def _days_as_text(table: pa.Table) -> pa.Table:
    """``dt`` as text, as it is in the lake, so that the two can be joined."""
    for index, field in enumerate(table.schema):
        if field.name == "dt" and pa.types.is_date(field.type):
            table = table.set_column(index, "dt", table.column(index).cast(pa.string()))
    return table


def _plain_integers(table: pa.Table) -> pa.Table:
    """Sums of whole numbers have 128 bits in DuckDB; they are shown as whole numbers again."""
    for index, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            try:
                column = table.column(index).cast(pa.int64())
            except pa.ArrowInvalid:
                continue
            table = table.set_column(index, field.name, column)
    return table
