"""Dead letters: looked at, decoded again after a fix, or dropped; none is ever landed twice.

A retry, step by step:

1. the bytes (or the line given in their place) are decoded; what is still no event stays as it is;
2. the letter is claimed in the database: it gets the next offset of the source ``retry``, and no
   second claim;
3. every claimed letter beyond the lake's position of that source is landed, with the position, in
   one atomic commit per table.

A crash before 2 leaves nothing, one between 2 and 3 a claim that the next retry lands first. The
row in ``raw.rejected`` stays: ``in = landed + rejected`` goes on to hold for its source, and the
source ``retry`` has a balance of its own. A retried event is late: detection has gone past it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

import duckdb
import polars as pl
import pyarrow as pa

from clickstream_guardian.events.decode import Layout, decode_lines, detect_layout
from clickstream_guardian.events.fields import EVENT_KINDS, KIND_OF_NAME, EventKind
from clickstream_guardian.events.identity import event_ids, ids_to_arrow
from clickstream_guardian.events.rejections import RETRY_SOURCE, Reason, original_bytes
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.model import SourcePartition
from clickstream_guardian.lake.rejected import DeadLetter, LetterFilter, read_letters
from clickstream_guardian.pipelines.daily import dirty_days
from clickstream_guardian.pipelines.land import with_ingestion
from clickstream_guardian.store import Store, get_source
from clickstream_guardian.store.dead_letters import (
    Decision,
    LetterKey,
    claim_retry,
    decided,
    drop_letter,
    forget_retry,
    list_decisions,
    list_retries,
)

RETRIES = SourcePartition(RETRY_SOURCE, 0)
MessageDecoding = Callable[[EventKind, bytes, DeadLetter], pa.Table | Reason]
"""Decodes a message of the log: its event as one row, or why it is none."""


@dataclass
class Retried:
    """What a retry did.

    Attributes:
        landed: letters that are events now.
        refused: letters that were decided on before.
        still: letters that are still no event, and why.
        days: days whose numbers are out of date now.
    """

    landed: list[LetterKey] = field(default_factory=list)
    refused: list[LetterKey] = field(default_factory=list)
    still: dict[LetterKey, str] = field(default_factory=dict)
    days: list[date] = field(default_factory=list)


def key_of(letter: DeadLetter) -> LetterKey:
    """The name of a dead letter."""
    return LetterKey(letter.source, letter.partition, letter.offset)


def find_letters(lake: Lake, wanted: LetterFilter) -> list[DeadLetter]:
    """The dead letters asked for, newest first, decided on or not."""
    with duckdb.connect() as reader:
        lake.attach(reader)
        return read_letters(reader, lake.data_files("rejected"), wanted)


def open_letters(
    store: Store, letters: Sequence[DeadLetter]
) -> tuple[list[DeadLetter], dict[LetterKey, Decision]]:
    """Those on which nothing was decided, and the decisions on the others."""
    with store.begin() as connection:
        known = list_decisions(connection)
    return [one for one in letters if key_of(one) not in known], known


def count_letters(letters: Sequence[DeadLetter]) -> list[tuple[str, str, int]]:
    """How many by hour of arrival (``2014-04-07 10``) and reason, newest hour and most first."""
    counts = Counter((f"{one.received_at:%Y-%m-%d %H}", one.reason) for one in letters)
    found = sorted((hour, n, reason) for (hour, reason), n in counts.items())
    return [(hour, reason, n) for hour, n, reason in reversed(found)]


def drop(store: Store, letters: Sequence[DeadLetter]) -> Retried:
    """Note of each letter that it needs nothing more; its bytes stay in the lake."""
    done = Retried()
    with store.begin() as connection:
        for letter in letters:
            key = key_of(letter)
            dropped = drop_letter(connection, key, letter.kind)
            (done.landed if dropped else done.refused).append(key)
    return done


class Retry:
    """Decodes dead letters again and lands what has become an event.

    Args:
        store: holds the decisions.
        lake: holds the letters, and takes the events; the caller holds the home's writer lock.
        decode_message: decodes messages of the log.
        on_step: told of each step that changes something in the database.
    """

    def __init__(
        self,
        store: Store,
        lake: Lake,
        decode_message: MessageDecoding,
        on_step: Callable[[str], None] = lambda _step: None,
    ) -> None:
        self._store, self._lake = store, lake
        self._decode_message = decode_message
        self._on_step = on_step
        self._read: dict[LetterKey, DeadLetter] = {}

    def run(self, letters: Sequence[DeadLetter], replacement: str | None = None) -> Retried:
        """Retry letters; what an earlier run claimed and did not land is landed first.

        Args:
            letters: which.
            replacement: a line to decode in place of the bytes of the one letter.

        Raises:
            PositionConflictError: another retry landed at the same time; nothing was doubled.
        """
        done = Retried()
        self._read = {key_of(letter): letter for letter in letters}
        self._land_claimed()
        with self._store.begin() as connection:
            known = decided(connection, [key_of(letter) for letter in letters])
        for letter in letters:
            if key_of(letter) in known:
                done.refused.append(key_of(letter))
            else:
                self._claim(letter, replacement, done)
        self._on_step("claimed")
        self._land_claimed()
        done.days = dirty_days(self._store, self._lake)
        return done

    def _claim(self, letter: DeadLetter, replacement: str | None, done: Retried) -> None:
        key = key_of(letter)
        found = self._decoded(letter, replacement)
        if isinstance(found, str):
            done.still[key] = found
            return
        with self._store.begin() as connection:
            made = claim_retry(connection, key, letter.kind, replacement)
        (done.refused if made is None else done.landed).append(key)

    def _land_claimed(self) -> None:
        for kind in EVENT_KINDS:
            position = self._lake.positions(kind.table).get(RETRIES, 0)
            with self._store.begin() as connection:
                claimed = list_retries(connection, kind.name, position)
            kept = [(one, row) for one in claimed if (row := self._row(one)) is not None]
            if kept:
                table = pa.concat_tables([row for _, row in kept], promote_options="default")
                staged = self._lake.write_files(kind.table, table)
                # not behind one that was opened again: its offset is the next to be given
                behind = (kept[-1][0].retry_offset or 0) + 1
                self._lake.commit(kind.table, staged, {RETRIES: behind}, {RETRIES: position})

    def _row(self, claimed: Decision) -> pa.Table | None:
        """The event of a claimed letter as a row to land; one that no longer decodes is opened."""
        key = claimed.key
        letter = self._read.get(key)
        if letter is None:
            wanted = LetterFilter(key.source, None, key.partition, key.offset)
            found = find_letters(self._lake, wanted)  # a source may begin as another's name does
            letter = next(one for one in found if one.source == key.source)
        event = self._decoded(letter, claimed.replacement)
        if isinstance(event, str):
            with self._store.begin() as connection:
                forget_retry(connection, key)
            return None
        offset = pa.array([claimed.retry_offset], pa.int64())
        rows = event.append_column("offset", offset)
        return with_ingestion(rows, RETRY_SOURCE, letter.received_at)

    def _decoded(self, letter: DeadLetter, replacement: str | None) -> pa.Table | str:
        """The letter's event as one row, or in words why it is none."""
        kind = KIND_OF_NAME[letter.kind]
        raw = replacement.encode() if replacement else original_bytes(letter.raw, letter.raw_bytes)
        if raw is None:
            return "its bytes were cut or cannot be told for sure: give the line with --replace"
        if replacement is None and letter.line_number is None:
            found = self._decode_message(kind, raw, letter)
            return str(found) if isinstance(found, Reason) else found
        with self._store.begin() as connection:
            record = get_source(connection, letter.source)
        columns = record.line_columns if record else None
        layout = Layout(kind, tuple(columns), header=False) if columns else None
        return decode_line(kind, raw, letter, layout)


def decode_line(
    kind: EventKind, raw: bytes, letter: DeadLetter, layout: Layout | None
) -> pa.Table | str:
    """One line as an event's row, or in words why it is none. Pure.

    An event equal to one that the file holds already has the same id: it is a repeat.

    Args:
        layout: that of the line's file; None for the data set's own.
    """
    decoded = decode_lines(layout or detect_layout(kind, raw), raw, letter.received_at)
    if decoded.rejections:
        return decoded.rejections[0].detail
    if decoded.rows != 1:
        return f"it holds {decoded.rows} lines, not one"
    events = decoded.events.drop("row", "line_number")
    if "given_id" not in events.columns:
        events = events.with_columns(ordinal=pl.lit(0))
    ids = ids_to_arrow(event_ids(kind, events))
    names = [name for name in kind.field_names if name in events.columns]
    return events.select(names).to_arrow().append_column("event_id", ids)
