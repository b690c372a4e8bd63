"""Messages of the log as the columns that the detector needs, decoded a column at a time.

Equal to ``MessageDecoder`` in every event and every reason, and some fifty times faster. Needs no
Kafka client, so it runs wherever bytes of the log arrive: in the consumer, or in a Spark worker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from clickstream_guardian.events.decode import EARLIEST, FUTURE_TOLERANCE
from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.events.identity import ids_from_arrow
from clickstream_guardian.events.rejections import Reason
from clickstream_guardian.sources.kafka.avro import HEADER_BYTES
from clickstream_guardian.sources.kafka.decode import Arrived, MessageDecoder
from clickstream_guardian.sources.kafka.plan import Plan, plan_for
from clickstream_guardian.sources.kafka.unknown import UnknownSchemaError
from clickstream_guardian.sources.kafka.walk import PADDING, Longs, Mask, Octets, Walk

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_EARLIEST_US = (EARLIEST - _EPOCH) // _US
_TOLERANCE_US = FUTURE_TOLERANCE // _US
_DATETIMES = tuple(
    (at - _EPOCH) // _US
    for at in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
)

EVENT_SCHEMA: dict[str, pl.DataType] = {
    "session_id": pl.String(),
    "occurred_at": pl.Datetime("us", "UTC"),
    "item_id": pl.String(),
    "event_id": pl.UInt128(),
    "offset": pl.Int64(),
}
"""The columns of ``DecodedColumns.events``."""
_NEEDED = frozenset({"session_id", "occurred_at", "item_id", "event_id"})


@dataclass(frozen=True)
class Messages:
    """Messages of one partition as they came, in offset order.

    Attributes:
        values: their bytes, a binary array; null is a tombstone.
        offsets: their offsets.
        received_us: when the log received each, microseconds since the epoch.
    """

    values: pa.Array
    offsets: Longs
    received_us: Longs

    @staticmethod
    def of(
        values: Sequence[bytes | None], offsets: Sequence[int], received_ms: Sequence[int]
    ) -> Messages:
        """From lists, with the log's own milliseconds."""
        return Messages(
            pa.array(values, pa.large_binary()),
            np.array(offsets, dtype=np.int64),
            np.array(received_ms, dtype=np.int64) * 1000,
        )


@dataclass(frozen=True)
class DecodedColumns:
    """What messages held.

    Attributes:
        events: columns of ``EVENT_SCHEMA``, in the order of the messages.
        places: of each event, the index of its message.
        rejected: index and reason of each message that is no event, in order.
    """

    events: pl.DataFrame
    places: Longs
    rejected: tuple[tuple[int, Reason], ...]

    @property
    def rejected_by_reason(self) -> Counter[Reason]:
        """How many were rejected, by reason."""
        return Counter(reason for _, reason in self.rejected)


class ColumnDecoder:
    """Decodes messages of one kind of event.

    Args:
        kind: click or purchase.
        schema_by_id: as for ``MessageDecoder``; asked once for each id that is known, and once in
            each call for one that is not.
    """

    def __init__(self, kind: EventKind, schema_by_id: Callable[[int], dict[str, Any]]) -> None:
        self._kind = kind
        self._schemas: dict[int, dict[str, Any]] = {}
        self._plans: dict[int, Plan | None] = {}
        self._ask = schema_by_id
        self._slow = MessageDecoder(kind, self._schemas.__getitem__)

    def decode(self, messages: Messages) -> DecodedColumns:
        """Decode messages, in their order.

        Raises:
            GuardianError: the registry is away and a new schema id has come; nothing is lost, the
                same call may be made again.
        """
        buffer, start, end = _laid_out(messages.values)
        schema_ids = _schema_ids(buffer, start, end)
        reasons: dict[int, Reason] = dict.fromkeys(
            np.flatnonzero(schema_ids < 0).tolist(), Reason.BAD_AVRO
        )
        found: list[pl.DataFrame] = []
        left: list[int] = []
        for schema_id in np.unique(schema_ids[schema_ids >= 0]).tolist():
            rows = np.flatnonzero(schema_ids == schema_id)
            if not self._knows(schema_id):
                reasons |= dict.fromkeys(rows.tolist(), Reason.UNKNOWN_SCHEMA)
            elif plan := self._plans[schema_id]:
                events, doubtful = _walked(plan, buffer, start[rows] + HEADER_BYTES, end[rows])
                found.append(events.with_columns(place=pl.Series(rows)).filter(~doubtful))
                left += rows[doubtful].tolist()
            else:
                left += rows.tolist()
        if left or not found:
            found.append(self._slowly(messages, sorted(left), reasons))
        return _judged(pl.concat(found), messages, reasons, ordered=len(found) == 1)

    def _knows(self, schema_id: int) -> bool:
        if schema_id not in self._plans:
            try:
                schema = self._ask(schema_id)
            except UnknownSchemaError:
                return False
            self._schemas[schema_id] = schema
            self._plans[schema_id] = plan_for(self._kind, schema, _NEEDED)
        return True

    def _slowly(
        self, messages: Messages, places: list[int], reasons: dict[int, Reason]
    ) -> pl.DataFrame:
        """Decode what is left by the definition; note its reasons."""
        values = messages.values.take(pa.array(places, pa.int64())).to_pylist()
        arrived = (
            Arrived(value, _EPOCH + int(messages.received_us[place]) * _US)
            for value, place in zip(values, places, strict=True)
        )
        decoded = self._slow.decode(arrived)
        reasons |= {places[index]: reason for index, reason in decoded.rejected}
        events = decoded.events.combine_chunks()
        ids = events["event_id"].combine_chunks()
        rest = pl.DataFrame(pl.from_arrow(events.select(["session_id", "occurred_at", "item_id"])))
        return rest.select(
            "session_id",
            pl.col("occurred_at").to_physical(),
            "item_id",
            event_id=ids_from_arrow(ids),
            place=pl.Series([places[index] for index in decoded.places], dtype=pl.Int64),
        )


def _laid_out(values: pa.Array) -> tuple[Octets, Longs, Longs]:
    """The bytes of all messages behind each other, and where each begins and ends."""
    values = values.cast(pa.large_binary())
    _, bounds, data = values.buffers()
    at = np.frombuffer(bounds, dtype=np.int64)[values.offset : values.offset + len(values) + 1]
    low, high = (int(at[0]), int(at[-1])) if len(values) else (0, 0)
    buffer = np.zeros(high - low + PADDING, dtype=np.uint8)
    if high > low:
        buffer[:-PADDING] = np.frombuffer(data, dtype=np.uint8, count=high - low, offset=low)
    return buffer, at[:-1] - low, at[1:] - low


def _schema_ids(buffer: Octets, start: Longs, end: Longs) -> Longs:
    """The schema id that each message begins with; -1 where there is none."""
    header = buffer[start[:, None] + np.arange(HEADER_BYTES)].astype(np.int64)
    weights = np.array([0, 1 << 24, 1 << 16, 1 << 8, 1])
    framed = (end - start >= HEADER_BYTES) & (header[:, 0] == 0)
    ids: Longs = np.where(framed, header @ weights, -1)
    return ids


def _walked(plan: Plan, buffer: Octets, start: Longs, end: Longs) -> tuple[pl.DataFrame, Mask]:
    """The needed columns of every record, and which of them are doubtful."""
    walk = Walk(buffer, start, end)
    columns: dict[str, pl.Series] = {}
    for step in plan:
        values = step.read(walk)
        if step.name is not None and values is not None:
            columns[step.name] = values
    doubtful = walk.finish()
    at = columns["occurred_at"].to_numpy()
    doubtful |= (at < _DATETIMES[0]) | (at > _DATETIMES[1])
    return pl.DataFrame([columns[n].alias(n) for n in EVENT_SCHEMA if n in columns]), doubtful


def _judged(
    events: pl.DataFrame, messages: Messages, reasons: Mapping[int, Reason], *, ordered: bool
) -> DecodedColumns:
    """Reject what is no event for what it says, in the order of the checks."""
    events = events if ordered else events.sort("place")
    at, place = events["occurred_at"].to_numpy(), events["place"].to_numpy()
    latest = messages.received_us[place] + _TOLERANCE_US
    checks = {
        Reason.EMPTY_SESSION: (events["session_id"].str.len_bytes() == 0).to_numpy(),
        Reason.EMPTY_ITEM: (events["item_id"].str.len_bytes() == 0).to_numpy(),
        Reason.TIME_OUT_OF_RANGE: (at < _EARLIEST_US) | (at > latest),
    }
    fine = ~np.logical_or.reduce(list(checks.values()))
    odd: dict[int, Reason] = {}
    for reason, fails in reversed(checks.items()):
        odd |= dict.fromkeys(place[fails].tolist(), reason)
    kept = events if fine.all() else events.filter(fine)
    places = kept["place"].to_numpy()
    return DecodedColumns(
        kept.select(
            "session_id",
            pl.col("occurred_at").cast(EVENT_SCHEMA["occurred_at"]),
            "item_id",
            "event_id",
            offset=pl.Series(messages.offsets[places]),
        ),
        places,
        tuple(sorted((odd | dict(reasons)).items())),
    )
