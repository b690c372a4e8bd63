"""The lake's Iceberg tables as Spark reads them, each held to one snapshot.

Spark reads a lake on S3 through the catalog ``iceberg``. The embedded home's database has no TCP
port, which is all that Java's driver can use; there PyIceberg asks the catalog where the table's
metadata lies, and Spark reads the table by that file. Both ways it is Iceberg that plans the files.
"""

from __future__ import annotations

from typing import Protocol

from pyspark.sql import DataFrame, SparkSession

from clickstream_guardian.engines.spark.configuration import CATALOG


class Snapshot(Protocol):
    """What is read of a table's snapshot."""

    @property
    def snapshot_id(self) -> int:
        """Its number."""


class IcebergTable(Protocol):
    """What is read of a PyIceberg table."""

    @property
    def metadata_location(self) -> str:
        """The file that describes the table as it is now."""

    def current_snapshot(self) -> Snapshot | None:
        """The newest snapshot, if anything was ever landed."""

    def name(self) -> tuple[str, ...]:
        """Namespace and name."""


class RawTables(Protocol):
    """What the Spark engine needs of a lake."""

    def iceberg_table(self, table: str) -> IcebergTable:
        """A raw table (``clicks``) as it is now."""


def read_table(session: SparkSession, table: IcebergTable) -> DataFrame:
    """The rows of a table's snapshot; a commit that comes later is not seen."""
    reader = session.read.format("iceberg")
    snapshot = table.current_snapshot()
    if snapshot is not None:
        reader = reader.option("versionAsOf", snapshot.snapshot_id)
    if "://" in table.metadata_location:
        return reader.load(".".join((CATALOG, *table.name())))
    return reader.load(table.metadata_location)
