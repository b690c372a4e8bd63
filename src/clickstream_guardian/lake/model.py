"""What the lake speaks of: positions, files, staged files, results of upkeep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pyiceberg.manifest import DataFile

from clickstream_guardian.errors import GuardianError


class SourcePartition(NamedTuple):
    """One partition of a source; a file has the single partition 0."""

    source: str
    partition: int


class OffsetRange(NamedTuple):
    """The least and the greatest offset of some rows, both inclusive."""

    first: int
    last: int


class HourFile(NamedTuple):
    """The place of a file in a table: UTC day, UTC hour, file name."""

    dt: str
    hour: str
    name: str


def union_ranges(
    parts: Iterable[Mapping[SourcePartition, OffsetRange]],
) -> dict[SourcePartition, OffsetRange]:
    """The least and greatest offset of each source partition over several parts."""
    union: dict[SourcePartition, OffsetRange] = {}
    for part in parts:
        for key, found in part.items():
            known = union.get(key, found)
            union[key] = OffsetRange(min(known.first, found.first), max(known.last, found.last))
    return union


class PositionConflictError(GuardianError):
    """Another writer has moved a source position since it was read; nothing was landed."""


@dataclass(frozen=True)
class DataFileRef:
    """One committed Parquet file.

    ``source``, ``partition`` and ``offsets`` are known when the file holds rows of a single
    source partition; otherwise they are None.
    """

    path: str
    dt: str
    hour: str
    rows: int
    bytes: int
    source: SourcePartition | None = None
    offsets: OffsetRange | None = None


@dataclass(frozen=True)
class StagedFiles:
    """Files written but not yet part of the table; ``+`` gathers several writes into one commit."""

    table: str
    files: tuple[DataFile, ...] = ()
    offsets: Mapping[SourcePartition, OffsetRange] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows in the files."""
        return sum(file.record_count for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of the files."""
        return sum(file.file_size_in_bytes for file in self.files)

    def __add__(self, other: StagedFiles) -> StagedFiles:
        if self.table != other.table:
            raise ValueError(f"files of {self.table} and {other.table} cannot be staged together")
        offsets = union_ranges((self.offsets, other.offsets))
        return StagedFiles(self.table, self.files + other.files, offsets)


@dataclass(frozen=True)
class Compaction:
    """What a compaction did: hours rewritten, files before and after."""

    hours: int = 0
    files_before: int = 0
    files_after: int = 0


@dataclass(frozen=True)
class Orphans:
    """What a search for orphans removed."""

    data_files: int = 0
    metadata_files: int = 0
    bytes: int = 0
