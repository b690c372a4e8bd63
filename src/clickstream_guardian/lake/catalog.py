"""The Iceberg catalog in PostgreSQL, and the raw tables in it, made on first use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NamespaceAlreadyExistsError, TableAlreadyExistsError
from pyiceberg.table import Table
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lake.layout import (
    NAMESPACE,
    RAW_TABLES,
    RawTable,
    iceberg_schema,
    iceberg_type,
    partition_spec,
    table_properties,
)

CATALOG_NAME = "iceberg"
"""The catalog's name is part of the key of its rows: every engine must use this one."""

_LOCAL_IO = "clickstream_guardian.lake.local_io.LocalFileIO"
_LOCK_KEY = 0x6C616B65  # "lake"


def warehouse_location(warehouse: Path | str) -> str:
    """The warehouse as Iceberg writes it: a URI as it is, a local folder as an absolute path."""
    if isinstance(warehouse, str) and "://" in warehouse:
        return warehouse.rstrip("/")
    return str(Path(warehouse).expanduser().resolve())


def open_catalog(uri: str, warehouse: str, properties: Mapping[str, str]) -> SqlCatalog:
    """Open the catalog and make sure its tables and the raw tables exist.

    Raises:
        DBAPIError: the database does not answer.
        UsageError: the database holds the lake of another warehouse.
    """
    local = {} if "://" in warehouse else {"py-io-impl": _LOCAL_IO}
    options = {"uri": uri, "warehouse": warehouse, "pool_pre_ping": "true"} | local
    with _one_at_a_time(uri):
        catalog = SqlCatalog(CATALOG_NAME, **(options | dict(properties)))
        for table in RAW_TABLES.values():
            _ensure_table(catalog, table, f"{warehouse}/{NAMESPACE}/{table.name}")
    return catalog


@contextlib.contextmanager
def _one_at_a_time(uri: str) -> Iterator[None]:
    """Keep two first openings from making the same tables at once."""
    engine = create_engine(uri, poolclass=NullPool)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
        yield


def _ensure_table(catalog: SqlCatalog, table: RawTable, location: str) -> None:
    if not catalog.table_exists(table.identifier):
        _create_table(catalog, table, location)
    iceberg = catalog.load_table(table.identifier)
    if iceberg.location() != location:
        raise UsageError(
            f"This database holds the lake at {iceberg.location()}, not at {location}; "
            "use the home it belongs to, or another database."
        )
    _add_new_columns(iceberg, table)


def _create_table(catalog: SqlCatalog, table: RawTable, location: str) -> None:
    with contextlib.suppress(NamespaceAlreadyExistsError):
        catalog.create_namespace(NAMESPACE)
    schema = iceberg_schema(table.fields)
    with contextlib.suppress(TableAlreadyExistsError):
        catalog.create_table(
            table.identifier,
            schema,
            location=location,
            partition_spec=partition_spec(schema),
            properties=table_properties(table),
        )


def _add_new_columns(iceberg: Table, table: RawTable) -> None:
    present = set(iceberg.schema().column_names)
    new = [field for field in table.fields if field.name not in present]
    if new:
        with iceberg.update_schema() as update:
            for field in new:
                update.add_column(field.name, iceberg_type(field), doc=field.meaning)
