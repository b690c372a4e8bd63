"""Decisions on dead letters: retried under which offset, or dropped. Raw bytes stay in the lake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from clickstream_guardian.store.advisory import Lock, lock_for_transaction
from clickstream_guardian.store.driver import driver_connection
from clickstream_guardian.store.tables import dead_letter_decisions as decisions

_KEYS_AT_ONCE = 5_000
"""Three parameters each; a statement may hold 65,535."""


class LetterKey(NamedTuple):
    """What names a dead letter for good: source, partition, offset."""

    source: str
    partition: int
    offset: int


@dataclass(frozen=True)
class Decision:
    """What was decided on one dead letter.

    Attributes:
        decision: ``retried`` or ``dropped``.
        kind: click or purchase: which table a retried one lands in.
        retry_offset: its offset in the source ``retry``; None if it was dropped.
        replacement: the line that was decoded in place of the bytes; None for the bytes.
    """

    key: LetterKey
    decision: str
    kind: str
    retry_offset: int | None = None
    replacement: str | None = None
    decided_at: datetime | None = None


def claim_retry(
    connection: Connection, key: LetterKey, kind: str, replacement: str | None
) -> Decision | None:
    """Give a dead letter the next retry offset; None if it has been decided on before.

    Offsets are given one after the other, by whoever holds the lock until the transaction ends,
    so that one is seen only after all smaller ones.
    """
    lock_for_transaction(driver_connection(connection), Lock.DEAD_LETTERS)
    newest = connection.scalar(select(func.max(decisions.c.retry_offset)))
    made = Decision(key, "retried", kind, 0 if newest is None else newest + 1, replacement)
    return made if _insert(connection, made) else None


def drop_letter(connection: Connection, key: LetterKey, kind: str) -> bool:
    """Note that a dead letter needs nothing more; False if it has been decided on before."""
    return _insert(connection, Decision(key, "dropped", kind))


def forget_retry(connection: Connection, key: LetterKey) -> None:
    """Open a dead letter again whose retry was claimed and never landed."""
    connection.execute(decisions.delete().where(_is(key)))


def list_retries(connection: Connection, kind: str, from_offset: int) -> list[Decision]:
    """Retried letters of a kind from a retry offset on, in its order."""
    found = connection.execute(
        select(decisions)
        .where(decisions.c.kind == kind, decisions.c.retry_offset >= from_offset)
        .order_by(decisions.c.retry_offset)
    )
    return [_decision(row) for row in found.mappings()]


def list_decisions(connection: Connection) -> dict[LetterKey, Decision]:
    """Every decision by its letter."""
    found = (_decision(row) for row in connection.execute(select(decisions)).mappings())
    return {one.key: one for one in found}


def decided(connection: Connection, keys: Sequence[LetterKey]) -> dict[LetterKey, Decision]:
    """The decisions on some letters."""
    place = tuple_(decisions.c.source, decisions.c.partition, decisions.c.offset)
    found: dict[LetterKey, Decision] = {}
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        wanted = [tuple(key) for key in keys[first : first + _KEYS_AT_ONCE]]
        rows = connection.execute(select(decisions).where(place.in_(wanted))).mappings()
        found |= {one.key: one for one in map(_decision, rows)}
    return found


def _insert(connection: Connection, made: Decision) -> bool:
    values = {**made.key._asdict(), "decision": made.decision, "kind": made.kind}
    values |= {"retry_offset": made.retry_offset, "replacement": made.replacement}
    statement = insert(decisions).values(values).on_conflict_do_nothing()
    return connection.execute(statement.returning(decisions.c.source)).first() is not None


def _is(key: LetterKey) -> ColumnElement[bool]:
    return tuple_(decisions.c.source, decisions.c.partition, decisions.c.offset) == tuple(key)


def _decision(row: RowMapping) -> Decision:
    return Decision(
        LetterKey(row["source"], row["partition"], row["offset"]),
        row["decision"],
        row["kind"],
        row["retry_offset"],
        row["replacement"],
        row["decided_at"],
    )
