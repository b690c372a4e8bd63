"""What only a pipeline can see, the lake and the log, noted for whoever asks the database alone.

Each snapshot is one row that the next one replaces; its age tells how far to trust it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date

from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from clickstream_guardian.store.driver import driver_connection


@dataclass(frozen=True)
class LakeSnapshot:
    """The lake when a run had ended.

    Attributes:
        landed: rows in ``raw.clicks`` and ``raw.purchases``, duplicates included.
        rejected: rows in ``raw.rejected``.
        dirty_days: days whose rows differ from what their metrics were made of.
        received: messages that came in, where no source records tell (a live log); else None.
    """

    landed: int
    rejected: int
    dirty_days: Sequence[date]
    received: int | None = None


@dataclass(frozen=True)
class LogEnd:
    """The end of one partition of a live log: the offset the next event will get."""

    source: str
    partition: int
    end_offset: int


def save_lake_snapshot(connection: Connection, snapshot: LakeSnapshot) -> None:
    """Replace the snapshot of the lake, in the caller's transaction."""
    value = asdict(snapshot) | {"dirty_days": [day.isoformat() for day in snapshot.dirty_days]}
    _save(connection, "lake", value)


def save_log_ends(connection: Connection, ends: Sequence[LogEnd]) -> None:
    """Replace the snapshot of the log's ends, in the caller's transaction."""
    _save(connection, "log", {"ends": [asdict(end) for end in ends]})


def _save(connection: Connection, name: str, value: dict[str, object]) -> None:
    driver_connection(connection).execute(
        "INSERT INTO status_snapshots (name, value) VALUES (%s, %s) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = now()",
        (name, Jsonb(value)),
    )
