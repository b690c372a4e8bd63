"""Many small files of a closed hour made into few.

A group of files is read, sorted by time and written as one new file, whose name is a hash of the
names it replaces; then one commit takes the old ones out and the new one in. Killed before that
commit, the table is untouched and the next compaction writes the same name again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.lake.layout import PARTITION_COLUMNS, RawTable
from clickstream_guardian.lake.local_io import LocalFileIO, local_path
from clickstream_guardian.lake.model import HourFile

HOURS_PER_COMMIT = 100
MIN_FILES = 8
"""Small files that an hour must have to be worth rewriting."""
TARGET_BYTES = 64 * 1024 * 1024
"""What a merged file may grow to; it also bounds the memory of a merge."""


@dataclass(frozen=True)
class Group:
    """Files of one hour that become one file."""

    dt: str
    hour: str
    files: tuple[DataFile, ...]

    @property
    def rows(self) -> int:
        """Rows in the files."""
        return sum(file.record_count for file in self.files)

    @property
    def target(self) -> HourFile:
        """The file to write; its name is that of the merger of these very files alone."""
        digest = blake2b(digest_size=12)
        for file in self.files:
            digest.update(f"{file.file_path}\0".encode())
        return HourFile(self.dt, self.hour, f"compacted-{digest.hexdigest()}.parquet")


def closed_hour(dt: str, hour: str, closed_before: datetime) -> bool:
    """Whether a UTC hour ended at or before an instant."""
    return (dt, hour) < (f"{closed_before:%Y-%m-%d}", f"{closed_before:%H}")


def plan(
    files: Iterable[DataFile], closed_before: datetime, min_files: int, target_bytes: int
) -> list[Group]:
    """The groups to merge, hour by hour.

    Args:
        files: the files of the table.
        closed_before: only hours that ended by then.
        min_files: an hour with fewer small files is left alone; at least 2.
        target_bytes: a file of at least half of it is not small; no group holds more.
    """
    before = closed_before.astimezone(UTC)
    small: dict[tuple[str, str], list[DataFile]] = defaultdict(list)
    for file in files:
        dt, hour = file.partition[0], file.partition[1]
        if file.file_size_in_bytes * 2 < target_bytes and closed_hour(dt, hour, before):
            small[dt, hour].append(file)
    return [
        Group(dt, hour, group)
        for (dt, hour), members in sorted(small.items())
        if len(members) >= max(min_files, 2)
        for group in _pack(members, target_bytes)
    ]


def _pack(files: list[DataFile], target_bytes: int) -> list[tuple[DataFile, ...]]:
    groups: list[list[DataFile]] = [[]]
    filled = 0
    for file in sorted(files, key=lambda file: file.file_path):
        if filled + file.file_size_in_bytes > target_bytes and groups[-1]:
            groups.append([])
            filled = 0
        groups[-1].append(file)
        filled += file.file_size_in_bytes
    return [tuple(group) for group in groups if len(group) > 1]


def merge(group: Group, io: FileIO, table: RawTable) -> dict[str, pa.ChunkedArray]:
    """All rows of a group in the order of time, column by column, without ``dt`` and ``hour``.

    Raises:
        GuardianError: the files do not hold the rows that the table says they do.
    """
    types = table.arrow_types()
    rows = pa.concat_tables(_read(io, file.file_path, types) for file in group.files)
    if rows.num_rows != group.rows:
        raise GuardianError(
            f"The files of {table.identifier} for {group.dt} {group.hour}:00 hold {rows.num_rows} "
            f"rows, the table says {group.rows}; they are left alone: restore them from a backup."
        )
    rows = rows.sort_by([(table.placed_by, "ascending"), ("offset", "ascending")])
    return {name: rows[name] for name in types if name not in PARTITION_COLUMNS}


def _read(io: FileIO, location: str, types: dict[str, pa.DataType]) -> pa.Table:
    """A file's columns in the table's types; one written before a column was added has nulls."""
    if isinstance(io, LocalFileIO):
        found = pq.ParquetFile(local_path(location)).read()
    else:
        with io.new_input(location).open() as stream:
            found = pq.ParquetFile(stream).read()
    columns = {
        name: found[name].cast(arrow_type)
        if name in found.column_names
        else pa.nulls(found.num_rows, arrow_type)
        for name, arrow_type in types.items()
    }
    return pa.table(columns)
