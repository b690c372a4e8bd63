"""The detector's checkpoints: how far a group has read, saved together with what it found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import Connection

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.store.driver import driver_connection


@dataclass(frozen=True)
class Position:
    """How far one partition of a source was read.

    Attributes:
        next_offset: the first offset not yet taken.
        resume_offset: where reading must start again to rebuild the open windows.
        resume_max_at: greatest event time before ``resume_offset``; None at the start.
        resume_late_count: events found late before ``resume_offset``.
        ended: the partition was read to its end.
    """

    source: str
    partition: int
    next_offset: int
    resume_offset: int
    resume_max_at: datetime | None
    resume_late_count: int
    ended: bool


@dataclass(frozen=True)
class Checkpoint:
    """A group's state between two runs.

    Attributes:
        rules_fingerprint: which rules the state was made with.
        lateness_us: allowed lateness, microseconds.
        closed_until: every window that ends by then is final; None before the first.
        generation: number of saves and claims so far, 0 for one never saved.
        longest_us: the longest window of those rules; 0 where it was not noted.
    """

    group_name: str
    rules_fingerprint: str
    lateness_us: int
    closed_until: datetime | None
    generation: int
    positions: tuple[Position, ...]
    longest_us: int = 0


class CheckpointConflictError(GuardianError):
    """Somebody else saved or claimed the checkpoint of ``group_name`` meanwhile."""

    def __init__(self, group_name: str, generation: int) -> None:
        super().__init__(
            f"The checkpoint of {group_name!r} is no longer at generation {generation}: "
            "another process detects for this group; stop one of them."
        )
        self.group_name = group_name


def load_checkpoint(connection: Connection, group_name: str) -> Checkpoint | None:
    """The group's checkpoint, positions in order of source and partition; None before the first."""
    driver = driver_connection(connection)
    found = driver.execute(
        f"SELECT {_COLUMNS} FROM detector_checkpoints WHERE group_name = %s", (group_name,)
    ).fetchone()
    return _whole(driver, found)


def claim_checkpoint(connection: Connection, group_name: str) -> Checkpoint | None:
    """The group's checkpoint, one generation on: who held it before can save no more.

    The claim holds from the end of the caller's transaction; the generation is the new one.
    """
    driver = driver_connection(connection)
    found = driver.execute(
        "UPDATE detector_checkpoints SET generation = generation + 1 WHERE group_name = %s "
        f"RETURNING {_COLUMNS}",
        (group_name,),
    ).fetchone()
    return _whole(driver, found)


def _whole(driver: psycopg.Connection, found: tuple[Any, ...] | None) -> Checkpoint | None:
    if found is None:
        return None
    name, fingerprint, lateness_us, closed_until, generation, longest_us = found
    positions = driver.execute(
        "SELECT source, partition, next_offset, resume_offset, resume_max_at, resume_late_count, "
        "ended "
        'FROM detector_positions WHERE group_name = %s ORDER BY source COLLATE "C", partition',
        (name,),
    )
    taken = tuple(Position(*row) for row in positions)
    return Checkpoint(name, fingerprint, lateness_us, closed_until, generation, taken, longest_us)


def save_checkpoint(
    connection: Connection, checkpoint: Checkpoint, expected_generation: int
) -> int:
    """Replace the group's checkpoint and positions, in the caller's transaction.

    Args:
        connection: where; the save and the caller's other writes are committed together.
        checkpoint: what to save; its own ``generation`` is not looked at.
        expected_generation: the generation the caller read, 0 if there was none.

    Returns:
        The new generation.

    Raises:
        CheckpointConflictError: the stored generation is another; roll back.
    """
    driver = driver_connection(connection)
    values = {
        "group_name": checkpoint.group_name,
        "rules_fingerprint": checkpoint.rules_fingerprint,
        "lateness_us": checkpoint.lateness_us,
        "closed_until": checkpoint.closed_until,
        "longest_us": checkpoint.longest_us,
        "expected": expected_generation,
    }
    saved = driver.execute(_INSERT if expected_generation == 0 else _UPDATE, values)
    if saved.rowcount != 1:
        raise CheckpointConflictError(checkpoint.group_name, expected_generation)
    columns = [list(c) for c in zip(*map(_row, checkpoint.positions), strict=True)]
    driver.execute(_POSITIONS, [*(columns or [[]] * 7), *[checkpoint.group_name] * 2])
    return expected_generation + 1


def _row(position: Position) -> tuple[object, ...]:
    return (
        position.source,
        position.partition,
        position.next_offset,
        position.resume_offset,
        position.resume_max_at,
        position.resume_late_count,
        position.ended,
    )


_COLUMNS = "group_name, rules_fingerprint, lateness_us, closed_until, generation, longest_us"
_INSERT = """
    INSERT INTO detector_checkpoints
        (group_name, rules_fingerprint, lateness_us, closed_until, generation, longest_us)
    VALUES (%(group_name)s, %(rules_fingerprint)s, %(lateness_us)s, %(closed_until)s,
            %(expected)s + 1, %(longest_us)s)
    ON CONFLICT (group_name) DO NOTHING
"""
_UPDATE = """
    UPDATE detector_checkpoints
    SET rules_fingerprint = %(rules_fingerprint)s, lateness_us = %(lateness_us)s,
        closed_until = %(closed_until)s, generation = generation + 1, updated_at = now(),
        longest_us = %(longest_us)s
    WHERE group_name = %(group_name)s AND generation = %(expected)s
"""
_POSITIONS = """
    WITH given (source, partition, next_offset, resume_offset, resume_max_at, resume_late_count,
                ended) AS (
        SELECT * FROM unnest(
            %s::text[], %s::integer[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::bigint[],
            %s::boolean[])
    ),
    gone AS (
        DELETE FROM detector_positions AS stored WHERE group_name = %s
        AND NOT EXISTS (SELECT FROM given WHERE (given.source, given.partition)
                                              = (stored.source, stored.partition))
    )
    INSERT INTO detector_positions AS stored
        (group_name, source, partition, next_offset, resume_offset, resume_max_at,
         resume_late_count, ended)
    SELECT %s, * FROM given
    ON CONFLICT (group_name, source, partition) DO UPDATE SET
        next_offset = excluded.next_offset, resume_offset = excluded.resume_offset,
        resume_max_at = excluded.resume_max_at, resume_late_count = excluded.resume_late_count,
        ended = excluded.ended
    WHERE (stored.next_offset, stored.resume_offset, stored.resume_max_at,
           stored.resume_late_count, stored.ended)
        IS DISTINCT FROM
        (excluded.next_offset, excluded.resume_offset, excluded.resume_max_at,
         excluded.resume_late_count, excluded.ended)
"""
