"""One Parquet file written: rows of one hour in, an Iceberg data file with its bounds out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table
from pyiceberg.typedef import Record

from clickstream_guardian.lake.layout import RawTable, parquet_options
from clickstream_guardian.lake.local_io import LocalFileIO, local_path
from clickstream_guardian.lake.model import HourFile

_FIELD_ID = b"PARQUET:field_id"


class ParquetWriter:
    """Writes hour files of one table; safe to use from several threads."""

    def __init__(self, table: RawTable, iceberg: Table) -> None:
        schema = iceberg.schema()
        self._spec_id = iceberg.spec().spec_id
        self._io = iceberg.io
        self._data = f"{iceberg.location()}/data"
        self._ids = {name: schema.find_field(name).field_id for name in table.columns}
        self._schemas: dict[tuple[pa.DataType, ...], pa.Schema] = {}
        self._types = table.arrow_types()
        self._bounded = [
            Bounded(self._ids[name], table.columns.index(name)) for name in table.bounded
        ]
        self._options = parquet_options(table)

    @property
    def is_local(self) -> bool:
        """Whether the files lie on a local disk."""
        return isinstance(self._io, LocalFileIO)

    def location(self, file: HourFile) -> str:
        """Where a file lies."""
        return f"{self._data}/dt={file.dt}/hour={file.hour}/{file.name}"

    def write(self, file: HourFile, columns: Mapping[str, pa.ChunkedArray]) -> DataFile:
        """Write one file and describe it for a manifest.

        Raises:
            OSError: the file cannot be written.
        """
        rows = self._arrow_table(columns, file.dt, file.hour)
        location = self.location(file)
        with _open_sink(self._io, location) as sink:
            writer = pq.ParquetWriter(sink, rows.schema, **self._options)
            writer.write_table(rows)
            writer.close()
            size = sink.tell()
        return self._describe(writer.writer.metadata, location, size, Record(file.dt, file.hour))

    def _arrow_table(self, columns: Mapping[str, pa.ChunkedArray], dt: str, hour: str) -> pa.Table:
        count = len(next(iter(columns.values())))
        given = {**columns, "dt": _constant(dt, count), "hour": _constant(hour, count)}
        arrays = [
            given[name] if name in given else pa.nulls(count, arrow_type)
            for name, arrow_type in self._types.items()
        ]
        return pa.Table.from_arrays(arrays, schema=self._schema(tuple(a.type for a in arrays)))

    def _schema(self, types: tuple[pa.DataType, ...]) -> pa.Schema:
        """The file's schema; columns come plain or with a dictionary, alike in all of a batch."""
        known = self._schemas.get(types)
        if known is None:
            known = self._schemas[types] = pa.schema(
                pa.field(name, arrow_type, metadata={_FIELD_ID: str(field_id).encode()})
                for (name, field_id), arrow_type in zip(self._ids.items(), types, strict=True)
            )
        return known

    def _describe(
        self, footer: pq.FileMetaData, location: str, size: int, partition: Record
    ) -> DataFile:
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        bounds = {column.field_id: column.bounds(groups) for column in self._bounded}
        return DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=location,
            file_format=FileFormat.PARQUET,
            partition=partition,
            record_count=footer.num_rows,
            file_size_in_bytes=size,
            column_sizes=None,
            value_counts=dict.fromkeys(bounds, footer.num_rows),
            null_value_counts=dict.fromkeys(bounds, 0),
            nan_value_counts=None,
            lower_bounds={field_id: lower for field_id, (lower, _) in bounds.items()},
            upper_bounds={field_id: upper for field_id, (_, upper) in bounds.items()},
            key_metadata=None,
            split_offsets=sorted(_first_byte(group.column(0)) for group in groups),
            equality_ids=None,
            sort_order_id=None,
            spec_id=self._spec_id,
        )


@dataclass(frozen=True)
class Bounded:
    """A column whose least and greatest value a manifest keeps, and its place in the file."""

    field_id: int
    position: int

    def bounds(self, groups: list[pq.RowGroupMetaData]) -> tuple[bytes, bytes]:
        """Least and greatest value over the row groups, as Iceberg writes them."""
        chunks = [group.column(self.position) for group in groups]
        found = [chunk.statistics for chunk in chunks]
        encode = _SINGLE_VALUE[chunks[0].physical_type]
        return encode(min(s.min_raw for s in found)), encode(max(s.max_raw for s in found))


# Iceberg's single-value serialization of the physical types that bounded columns have.
_SINGLE_VALUE: dict[str, Callable[[Any], bytes]] = {
    "INT32": struct.Struct("<i").pack,
    "INT64": struct.Struct("<q").pack,
    "BYTE_ARRAY": bytes,
}


def _constant(value: str, count: int) -> pa.Array:
    indices = pa.Array.from_buffers(pa.int32(), count, [None, pa.py_buffer(bytes(4 * count))])
    return pa.DictionaryArray.from_arrays(indices, pa.array([value], pa.string()), safe=False)


def _open_sink(io: FileIO, location: str) -> AbstractContextManager[Any]:
    """The file to write into; on a local disk Arrow's own, which works outside Python's lock."""
    if not isinstance(io, LocalFileIO):
        return cast(AbstractContextManager[Any], io.new_output(location).create(overwrite=True))
    path = local_path(location)
    try:
        return cast(AbstractContextManager[Any], pa.OSFile(str(path), "wb"))
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return cast(AbstractContextManager[Any], pa.OSFile(str(path), "wb"))


def _first_byte(column: pq.ColumnChunkMetaData) -> int:
    if column.has_dictionary_page:
        return int(min(column.dictionary_page_offset, column.data_page_offset))
    return int(column.data_page_offset)
