"""Which files a table consists of, read from its manifests; a manifest is read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile, ManifestContent, ManifestFile
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.types import IntegerType, LongType, StringType

from clickstream_guardian.lake.local_io import local_path
from clickstream_guardian.lake.model import DataFileRef, OffsetRange, SourcePartition

_T = TypeVar("_T")
_ATTEMPTS = 5


def present(load: Callable[[], Table], read: Callable[[Table], _T]) -> _T:
    """Read a table's metadata; begin anew if a writer's upkeep removes it meanwhile."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return read(load())
        except FileNotFoundError:
            continue
    return read(load())


def live_data_files(iceberg: Table, snapshot: Snapshot | None) -> Iterator[DataFile]:
    """The data files of a snapshot, as Iceberg describes them."""
    if snapshot is not None:
        for manifest in snapshot.manifests(iceberg.io):
            yield from manifest_data_files(iceberg, manifest)


def manifest_data_files(iceberg: Table, manifest: ManifestFile) -> Iterator[DataFile]:
    """The data files that a manifest lists as present."""
    if manifest.content == ManifestContent.DATA:
        for entry in manifest.fetch_manifest_entry(iceberg.io, discard_deleted=True):
            yield entry.data_file


class FileIndex:
    """The committed files of one table. Manifests never change, so what was read is kept."""

    def __init__(self) -> None:
        self._by_manifest: dict[str, tuple[DataFileRef, ...]] = {}

    def read(self, iceberg: Table) -> list[DataFileRef]:
        """The files of the table's current snapshot, by day, hour and path."""
        snapshot = iceberg.current_snapshot()
        manifests = snapshot.manifests(iceberg.io) if snapshot else []
        known = self._by_manifest
        # A new dictionary, never a changed one: another thread may be reading too.
        self._by_manifest = now = {
            manifest.manifest_path: known.get(manifest.manifest_path)
            or tuple(_refs(iceberg, manifest))
            for manifest in manifests
        }
        every = (ref for refs in now.values() for ref in refs)
        return sorted(every, key=lambda ref: (ref.dt, ref.hour, ref.path))


def _refs(iceberg: Table, manifest: ManifestFile) -> Iterator[DataFileRef]:
    schema = iceberg.schema()
    for file in manifest_data_files(iceberg, manifest):
        source, offsets = _single_source(file, schema)
        yield DataFileRef(
            path=_readable(file.file_path),
            dt=file.partition[0],
            hour=file.partition[1],
            rows=file.record_count,
            bytes=file.file_size_in_bytes,
            source=source,
            offsets=offsets,
        )


def _readable(location: str) -> str:
    return str(local_path(location)) if location.startswith("file:") else location


def _single_source(
    file: DataFile, schema: Schema
) -> tuple[SourcePartition | None, OffsetRange | None]:
    """The source partition of a file and its offsets, if all its rows are of one."""
    lower, upper = file.lower_bounds or {}, file.upper_bounds or {}
    source, partition, offset = (
        schema.find_field(name).field_id for name in ("source", "partition", "offset")
    )
    if offset not in lower or any(lower.get(i) != upper.get(i) for i in (source, partition)):
        return None, None
    key = SourcePartition(
        str(from_bytes(StringType(), lower[source])), _integer(lower[partition], IntegerType())
    )
    bounds = (_integer(bound[offset], LongType()) for bound in (lower, upper))
    return key, OffsetRange(*bounds)


def _integer(value: bytes, iceberg_type: IntegerType | LongType) -> int:
    return int(from_bytes(iceberg_type, value))
