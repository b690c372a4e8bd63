"""Reading ``raw.rejected``: single dead letters, and how many there are by reason and hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from clickstream_guardian.lake.model import DataFileRef

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROWS = """
    SELECT source, "partition", "offset", received_at, kind, place, line_number, reason, detail,
           raw, raw_bytes
    FROM read_parquet($paths, hive_partitioning = false, union_by_name = true)
    WHERE starts_with(source, $source) AND ($reason IS NULL OR reason = $reason)
      AND ($partition IS NULL OR ("partition" = $partition AND "offset" = $offset))
    ORDER BY received_at DESC, source, "partition", "offset"
"""


@dataclass(frozen=True)
class DeadLetter:
    """One row of ``raw.rejected``; ``events.fields.REJECTION_FIELDS`` says what each column is."""

    source: str
    partition: int
    offset: int
    received_at: datetime
    kind: str
    place: str
    line_number: int | None
    reason: str
    detail: str
    raw: str
    raw_bytes: int


@dataclass(frozen=True)
class LetterFilter:
    """Which dead letters: of sources that begin so, of a reason, at one place."""

    source: str = ""
    reason: str | None = None
    partition: int | None = None
    offset: int | None = None


def read_letters(
    connection: DuckDBPyConnection, files: Sequence[DataFileRef], wanted: LetterFilter
) -> list[DeadLetter]:
    """The dead letters asked for, newest first."""
    if not files:
        return []
    connection.execute("SET TimeZone = 'UTC'")
    values = {"paths": [file.path for file in files], **asdict(wanted)}
    found = connection.sql(_ROWS, params=values).to_arrow_table()
    return [DeadLetter(**row) for row in found.to_pylist()]
