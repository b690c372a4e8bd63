"""Traffic with everything that can go wrong on the event topics, and what the oracle makes of it.

``made_traffic`` is the same for the same seed: ordinary sessions, a hot one, bots, disorder within
the allowed lateness, late events, repeats, and poison messages. ``Portion`` marks where the log
stood before, so a test judges its own messages only: start a group with ``--from latest`` (or at
``Portion.starts``), then ``send``, then compare with ``Portion.expected``.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from confluent_kafka import Consumer, Producer, TopicPartition

from clickstream_guardian.detector.state import DetectorConfig
from clickstream_guardian.events.fields import CLICK, EVENT_KINDS, PURCHASE, EventKind
from clickstream_guardian.events.rejections import Reason
from clickstream_guardian.events.schemas import arrow_schema
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.kafka.admin import offset_spans
from clickstream_guardian.sources.kafka.avro import encode
from clickstream_guardian.sources.kafka.decode import Arrived, MessageDecoder
from clickstream_guardian.sources.kafka.registry import SUBJECTS, SchemaRegistry
from tests.parity.oracle import OracleAnomaly, OracleEvent, final_anomalies, in_time

DAY = datetime(2014, 4, 7, 10, tzinfo=UTC)
SECONDS = 240
POISON = (b"", b"garbage\xff", b"\0\0\x0f\x42\x3fabc", None)


@dataclass(frozen=True)
class Sent:
    """One message to send: a row of the kind's fields, or bytes that are no event."""

    kind: EventKind
    key: str
    row: dict[str, Any] | None
    poison: bytes | None = None


def made_traffic(seed: int, sessions: int = 400) -> list[Sent]:
    """Four minutes of traffic in the order of arrival."""
    rng = random.Random(seed)
    rows: list[tuple[float, Sent]] = []

    def add(kind: EventKind, session: str, second: float, item: str, after: float = 0.0) -> None:
        row = {
            "event_id": rng.randbytes(16),
            "session_id": session,
            "occurred_at": DAY + timedelta(microseconds=round(second * 1e6)),
            "item_id": item,
        }
        rows.append((second + after, Sent(kind, session, row)))

    for number in range(sessions):
        begin = rng.uniform(0, SECONDS)
        for _ in range(rng.randint(1, 12)):
            begin += rng.expovariate(1 / 8)
            disorder = rng.choice((0, 0, 0, rng.uniform(0, 7)))
            add(CLICK, f"{seed}-{number}", min(begin, SECONDS), f"i{rng.randrange(300)}", disorder)
        if rng.random() < 0.1:
            add(PURCHASE, f"{seed}-{number}", min(begin + 1, SECONDS), f"i{rng.randrange(300)}")
    for number in range(6):
        start, clicks = rng.uniform(10, 150), rng.choice((49, 50, 120, 400))
        for n in range(clicks):
            second = start + n * rng.choice((0.1, 0.2, 0.5))
            add(CLICK, f"{seed}-bot{number}", min(second, SECONDS), f"i{n % rng.choice((3, 9))}")
    for number in range(8):
        start, lines, items = rng.uniform(10, 150), rng.randint(6, 20), rng.choice((1, 2, 9))
        for n in range(lines):
            add(PURCHASE, f"{seed}-scalper{number}", start + n * 2, f"i{n % items}")
    for n in range(3000):
        add(CLICK, f"{seed}-hot", 60 + n * 0.04, f"i{n % 20}", rng.uniform(0, 5))
    for n in range(60):
        add(CLICK, f"{seed}-hot", rng.uniform(60, 150), f"i{n}", after=30)  # late
    rows += [(at + rng.uniform(0, 5), sent) for at, sent in rng.sample(rows, 80)]  # repeats
    for n in range(20):
        poison = Sent(rng.choice(EVENT_KINDS), f"p{n}", None, POISON[n % len(POISON)])
        rows.append((rng.uniform(0, SECONDS), poison))
    return [sent for _, sent in sorted(rows, key=lambda pair: pair[0])]


def made_crowds(seed: int) -> list[Sent]:
    """Half an hour in which sessions of all partitions do the same: each kind of crowd once."""
    rng = random.Random(seed)
    rows: list[tuple[float, Sent]] = []

    def visit(session: str, begin: float, items: list[str], pause: float) -> None:
        for number, item in enumerate(items):
            second = begin + number * pause
            row = {
                "event_id": rng.randbytes(16),
                "session_id": f"{seed}-{session}",
                "occurred_at": DAY + timedelta(microseconds=round(second * 1e6)),
                "item_id": item,
            }
            rows.append((second, Sent(CLICK, f"{seed}-{session}", row)))

    def several(count: int) -> list[str]:
        return [f"i{n}" for n in rng.sample(range(300), count)]

    for n in range(300):
        visit(f"{n}", rng.uniform(0, 1700), several(rng.randint(1, 6)), rng.uniform(4, 20))
    for n in range(45):
        visit(f"farm{n}", rng.uniform(0, 1700), ["farmed"] * rng.randint(1, 3), 9)
    for n in range(12):
        visit(f"step{n}", 300 + rng.uniform(0, 60), ["a", "b", "c"], rng.uniform(5, 9))
    for n in range(7):
        visit(f"again{n}", rng.uniform(0, 1700), ["p", "q", "r", "s", "t"], 11)
    for n in range(80):
        visit(f"flood{n}", 840 + rng.uniform(0, 60), several(1) * 4, 0.5)
    rows += [(at + rng.uniform(0, 5), sent) for at, sent in rng.sample(rows, 40)]  # repeats
    return [sent for _, sent in sorted(rows, key=lambda pair: pair[0])]


def send(settings: Settings, traffic: list[Sent]) -> None:
    """Put messages on the log, in their order, and wait for the acknowledgements."""
    known = {e.subject: e.schema_id for e in SchemaRegistry(settings.registry_url).register_all()}
    producer = Producer(
        {
            "bootstrap.servers": settings.kafka_servers,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
        }
    )
    values: dict[str, list[bytes]] = {}
    for kind in EVENT_KINDS:
        rows = [sent.row for sent in traffic if sent.kind is kind and sent.row is not None]
        events = pa.Table.from_pylist(rows, schema=arrow_schema(kind))
        schema_id = known[SUBJECTS[f"{kind.name}-event.avsc"]]
        values[kind.name] = list(reversed(encode(kind, schema_id, events).to_pylist()))
    for sent in traffic:
        value = sent.poison if sent.row is None else values[sent.kind.name].pop()
        producer.produce(sent.kind.topic, value, sent.key)
        producer.poll(0)
    assert producer.flush(60) == 0


@dataclass(frozen=True)
class Read:
    """What lies on the log: events in partition order, and rejections by reason.

    ``partition`` of an event is that of its topic; clicks and purchases are kept apart.
    """

    events: dict[str, list[OracleEvent]] = field(default_factory=dict)
    rejected: Counter[Reason] = field(default_factory=Counter)


class Portion:
    """The part of the log that begins now."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.starts = self.ends()

    def ends(self) -> dict[tuple[str, int], int]:
        return {
            (kind.topic, span.partition): span.end
            for kind in EVENT_KINDS
            for span in offset_spans(self.settings.kafka_servers, kind.topic)
        }

    def read(self) -> Read:
        """Everything since, by the slow decoder."""
        schema_by_id = SchemaRegistry(self.settings.registry_url).by_id
        found = Read()
        for kind in EVENT_KINDS:
            decoder = MessageDecoder(kind, schema_by_id)
            events = found.events.setdefault(kind.name, [])
            for partition, messages in sorted(self._messages(kind).items()):
                decoded = decoder.decode(messages)
                found.rejected.update(reason for _, reason in decoded.rejected)
                events += [_as_oracle(partition, row) for row in decoded.events.to_pylist()]
        return found

    def expected(self, config: DetectorConfig) -> list[OracleAnomaly]:
        """The oracle's final rows, by id."""
        found = [
            anomaly
            for kind, events in self.read().events.items()
            for anomaly in final_anomalies(
                config.of(kind).rules, events, config.lateness_us, config.sample_size
            )
        ]
        return sorted(found, key=lambda anomaly: anomaly.anomaly_id)

    def late(self, config: DetectorConfig) -> Counter[str]:
        """Ids (hex) of late events, and how often each lies on the log late."""
        late: Counter[str] = Counter()
        for events in self.read().events.values():
            late.update(f"{event.event_id:032x}" for event in events)
            taken = in_time(events, config.lateness_us)
            late.subtract(f"{event.event_id:032x}" for event in taken)
        return +late

    def _messages(self, kind: EventKind) -> dict[int, list[Arrived]]:
        ends = self.ends()
        spans = {p: (s, ends[t, p]) for (t, p), s in self.starts.items() if t == kind.topic}
        left = {p: end - start for p, (start, end) in spans.items() if end > start}
        found: dict[int, list[Arrived]] = {partition: [] for partition in left}
        reader = Consumer({"bootstrap.servers": self.settings.kafka_servers, "group.id": "test"})
        reader.assign([TopicPartition(kind.topic, p, spans[p][0]) for p in left])
        while sum(left.values()) > 0:
            for message in reader.consume(10_000, 10):
                assert message.error() is None, message.error()
                received = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
                if left[message.partition()] > 0:
                    left[message.partition()] -= 1
                    found[message.partition()].append(Arrived(message.value(), received))
        reader.close()
        return found


def _as_oracle(partition: int, row: dict[str, Any]) -> OracleEvent:
    micros = (row["occurred_at"] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    identity = int.from_bytes(row["event_id"], "big")
    return OracleEvent(partition, row["session_id"], micros, row["item_id"], identity)
