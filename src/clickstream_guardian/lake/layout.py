"""How a raw table is laid out: Iceberg schema, partitions, properties, Parquet options.

All of it is derived from the field tables of ``events``; a field added there becomes a new
optional column here, and files written before simply lack it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import (
    DecimalType,
    FixedType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.fields import (
    EVENT_KINDS,
    PARTITION_FIELDS,
    REJECTION_FIELDS,
    Field,
    FieldType,
)
from clickstream_guardian.events.schemas import arrow_fields, raw_fields

NAMESPACE = "raw"
PARTITION_COLUMNS = tuple(field.name for field in PARTITION_FIELDS)

_ICEBERG: dict[FieldType, IcebergType] = {
    FieldType.ID16: FixedType(16),
    FieldType.STRING: StringType(),
    FieldType.INSTANT: TimestamptzType(),
    FieldType.MONEY: DecimalType(12, 2),
    FieldType.INTEGER: IntegerType(),
    FieldType.LONG: LongType(),
}
_FIRST_PARTITION_FIELD_ID = 1000


@dataclass(frozen=True)
class RawTable:
    """A raw table: its name, fields, and the instant that decides a row's ``dt`` and ``hour``.

    ``further`` are columns beyond the fields that this version knows: the landing made them for
    events of a newer schema.
    """

    name: str
    fields: tuple[Field, ...]
    placed_by: str
    further: tuple[pa.Field, ...] = ()

    @property
    def identifier(self) -> str:
        """The name in the catalog."""
        return f"{NAMESPACE}.{self.name}"

    @property
    def bounded(self) -> tuple[str, ...]:
        """Columns whose least and greatest value per file are kept in the manifests."""
        return (self.placed_by, "source", "partition", "offset")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(field.name for field in (*self.fields, *self.further))

    def arrow_types(self) -> dict[str, pa.DataType]:
        """The Arrow type of each column."""
        return {field.name: field.type for field in (*arrow_fields(self.fields), *self.further)}

    def as_it_is(self, schema: Schema) -> RawTable:
        """This table with the further columns of its Iceberg schema."""
        unknown = set(schema.column_names) - {field.name for field in self.fields}
        if not unknown:
            return self
        from pyiceberg.io.pyarrow import schema_to_pyarrow  # brings pandas: only when needed

        found = schema_to_pyarrow(schema, include_field_ids=False)
        return replace(self, further=tuple(field for field in found if field.name in unknown))


RAW_TABLES = MappingProxyType(
    {kind.table: RawTable(kind.table, raw_fields(kind), "occurred_at") for kind in EVENT_KINDS}
    | {"rejected": RawTable("rejected", (*REJECTION_FIELDS, *PARTITION_FIELDS), "received_at")}
)


def raw_table(name: str) -> RawTable:
    """The raw table of that name, with or without the namespace.

    Raises:
        UsageError: there is no such table.
    """
    table = RAW_TABLES.get(name.removeprefix(f"{NAMESPACE}."))
    if table is None:
        raise UsageError(f"There is no raw table {name!r}; there are {', '.join(RAW_TABLES)}.")
    return table


def iceberg_type(field: Field) -> IcebergType:
    """The Iceberg type of a field."""
    return _ICEBERG[field.type]


def iceberg_schema(fields: Iterable[Field]) -> Schema:
    """The schema of a new table: every column optional, ids in the order of the fields."""
    return Schema(
        *(
            NestedField(number, field.name, iceberg_type(field), required=False, doc=field.meaning)
            for number, field in enumerate(fields, start=1)
        )
    )


def partition_spec(schema: Schema) -> PartitionSpec:
    """Identity partitions by ``dt`` and ``hour``."""
    return PartitionSpec(
        *(
            PartitionField(
                schema.find_field(name).field_id,
                _FIRST_PARTITION_FIELD_ID + number,
                IdentityTransform(),
                name,
            )
            for number, name in enumerate(PARTITION_COLUMNS)
        )
    )


def table_properties(table: RawTable) -> dict[str, str]:
    """The properties of a new table.

    Bounds are kept for few columns only: those of random ids prune nothing and would make each
    manifest several times as large. Files are replaced by others with the same rows, which no
    append can contradict: so a replacement need not give way to a sink that appends meanwhile,
    and may be tried more often than the usual four times, for on a busy machine a try takes longer
    than the sink's next commit.
    """
    return {
        "write.format.default": "parquet",
        "write.parquet.compression-codec": "snappy",
        "write.metadata.delete-after-commit.enabled": "true",
        "write.metadata.previous-versions-max": "10",
        "write.delete.isolation-level": "snapshot",
        "write.update.isolation-level": "snapshot",
        "write.metadata.metrics.default": "none",
        "commit.retry.num-retries": "15",
        "commit.manifest-merge.enabled": "true",
        "commit.manifest.min-count-to-merge": "25",
        "commit.manifest.target-size-bytes": str(512 * 1024),
    } | {f"write.metadata.metrics.column.{column}": "full" for column in table.bounded}


def parquet_options(table: RawTable) -> dict[str, Any]:
    """Options of the Parquet writer.

    No dictionary where values hardly repeat; statistics only where they can prune; types that
    every Iceberg reader knows (pages of version 1, decimals as integers).
    """
    unique = {FieldType.ID16, FieldType.LONG}
    plain = {field.name for field in table.fields if field.type in unique} | {table.placed_by}
    return {
        "compression": "snappy",
        "use_dictionary": [field.name for field in table.fields if field.name not in plain],
        "write_statistics": [*table.bounded, *PARTITION_COLUMNS],
        "store_decimal_as_integer": True,
        "store_schema": False,
        "data_page_version": "1.0",
    }
