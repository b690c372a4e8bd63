"""Removes rows that the landing put into the lake more than once.

A row's place on the log, (source, partition, offset), is its identity; of rows that share it one
stays. Files are rewritten by name in one commit each time, so what a connector appends meanwhile
is not touched, and a kill leaves the table as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import polars as pl
import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from clickstream_guardian.lake import commits, compaction
from clickstream_guardian.lake.files import live_data_files
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.layout import PARTITION_COLUMNS, RAW_TABLES, RawTable
from clickstream_guardian.lake.model import HourFile
from clickstream_guardian.lake.parquet import ParquetWriter

IDENTITY = ("source", "partition", "offset")
FILES_PER_COMMIT = 100
_ATTEMPTS = 5


@dataclass(frozen=True)
class Mending:
    """A file that holds repeats: which, and which of its rows stay (none: the file goes)."""

    file: DataFile
    kept: pl.Series

    @property
    def removed(self) -> int:
        """Rows that go."""
        return len(self.kept) - int(self.kept.sum())


def remove_repeats(lake: Lake) -> dict[str, int]:
    """Remove repeated rows from every raw table; table name to rows removed.

    Raises:
        GuardianError: files lack rows, or database or S3 failed; nothing was lost.
    """
    return {name: _repair(lake, raw) for name, raw in RAW_TABLES.items()}


def _repair(lake: Lake, raw: RawTable) -> int:
    for attempt in range(_ATTEMPTS):
        try:
            whole = raw.as_it_is(lake.iceberg_table(raw.name).schema())
            return sum(_commit(lake, whole, part) for part in _parts(lake, whole))
        except (CommitFailedException, ValidationException):
            if attempt == _ATTEMPTS - 1:
                raise
    return 0


def _parts(lake: Lake, raw: RawTable) -> Iterator[Sequence[Mending]]:
    mendings = _plan(lake.iceberg_table(raw.name), raw)
    for start in range(0, len(mendings), FILES_PER_COMMIT):
        yield mendings[start : start + FILES_PER_COMMIT]


def _plan(iceberg: Table, raw: RawTable) -> list[Mending]:
    """Look at the identities first; read files only of hours that hold repeats."""
    scan = iceberg.scan(selected_fields=(*IDENTITY, *PARTITION_COLUMNS))
    rows = pl.DataFrame(pl.from_arrow(scan.to_arrow()))
    repeated = rows.filter(pl.struct(IDENTITY).is_duplicated())
    if not len(repeated):
        return []
    hours = set(repeated.select(PARTITION_COLUMNS).unique().iter_rows())
    files = [
        file
        for file in live_data_files(iceberg, iceberg.current_snapshot())
        if (file.partition[0], file.partition[1]) in hours
    ]
    files.sort(key=lambda file: (file.partition[0], file.partition[1], file.file_path))
    parts = [_identities(iceberg, raw, file) for file in files]
    kept = pl.concat(parts).select(kept=pl.struct(IDENTITY).is_first_distinct()).to_series()
    mendings, start = [], 0
    for file, part in zip(files, parts, strict=True):
        mask = kept.slice(start, len(part))
        start += len(part)
        if not mask.all():
            mendings.append(Mending(file, mask))
    return mendings


def _commit(lake: Lake, raw: RawTable, mendings: Sequence[Mending]) -> int:
    iceberg = lake.iceberg_table(raw.name)
    writer = ParquetWriter(raw, iceberg)
    new = [
        writer.write(_target(mending), _kept_rows(iceberg, raw, mending))
        for mending in mendings
        if mending.kept.any()
    ]
    commits.replace(iceberg, [mending.file for mending in mendings], new)
    return sum(mending.removed for mending in mendings)


def _rows(iceberg: Table, raw: RawTable, file: DataFile) -> dict[str, pa.ChunkedArray]:
    """A file's rows in a fixed order, so that a mask made in one reading fits the next."""
    return compaction.merge(_alone(file), iceberg.io, raw)


def _alone(file: DataFile) -> compaction.Group:
    return compaction.Group(file.partition[0], file.partition[1], (file,))


def _identities(iceberg: Table, raw: RawTable, file: DataFile) -> pl.DataFrame:
    rows = _rows(iceberg, raw, file)
    return pl.DataFrame({name: pl.from_arrow(rows[name]) for name in IDENTITY})


def _kept_rows(iceberg: Table, raw: RawTable, mending: Mending) -> dict[str, pa.ChunkedArray]:
    mask = mending.kept.to_arrow()
    rows = _rows(iceberg, raw, mending.file)
    return {name: column.filter(mask) for name, column in rows.items()}


def _target(mending: Mending) -> HourFile:
    """The new file's name: that of this very mending, whoever does it and however often."""
    digest = blake2b(digest_size=12)
    digest.update(mending.file.file_path.encode())
    digest.update(mending.kept.arg_true().to_numpy().tobytes())
    dt, hour = mending.file.partition[0], mending.file.partition[1]
    return HourFile(dt, hour, f"mended-{digest.hexdigest()}.parquet")
