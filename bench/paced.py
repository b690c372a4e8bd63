"""A live-looking stream on Kafka, at a given rate: `python -m bench.paced RATE SECONDS`.

Event time is the wall clock, so the age of an anomaly's crossing event is its latency. 10 % of the
events are in 4 hot sessions, 0.1 % are repeats, 0.1 % are 15 s late; ordinary sessions last 150 s.
Prints the number of messages and the seconds that sending them took.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pyarrow as pa

from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.events.schemas import arrow_schema
from clickstream_guardian.settings import load_settings
from clickstream_guardian.sources.kafka.producer import EventProducer
from clickstream_guardian.sources.kafka.registry import SchemaRegistry

TICK_SECONDS = 0.05
_HOT, _HOT_SESSIONS, _HOT_SECONDS = 0.1, 4, 30
_REPEATED, _LATE = 0.001, 0.001


def tick_of_events(
    chance: np.random.Generator, rate: int, now_us: int, seconds: float = TICK_SECONDS
) -> pa.Table:
    """The events of the last ``seconds``."""
    count = round(rate * seconds)
    at = np.sort(now_us - chance.integers(0, round(seconds * 1e6), count))
    at -= np.where(chance.random(count) < _LATE, 15_000_000, 0)
    alive = max(1, int(rate * 150 / 3.57))
    session = now_us // 500_000_000 * alive + chance.integers(0, alive, count)
    hot = chance.random(count) < _HOT
    hot_ones = now_us // (_HOT_SECONDS * 1_000_000) * _HOT_SESSIONS + 10**15
    session = np.where(hot, hot_ones + chance.integers(0, _HOT_SESSIONS, count), session)
    item = 214_500_000 + chance.integers(0, np.where(hot, 5, 50_000))
    ids = pa.array([chance.bytes(16) for _ in range(count)], pa.binary(16))
    given = {
        "event_id": ids,
        "session_id": pa.array(session.astype(str)),
        "occurred_at": pa.array(at).cast(pa.timestamp("us", "UTC")),
        "item_id": pa.array(item.astype(str)),
    }
    schema = arrow_schema(CLICK)
    columns = [given.get(field.name, pa.nulls(count, field.type)) for field in schema]
    events = pa.table(columns, schema=schema)
    repeated = events.filter(pa.array(chance.random(count) < _REPEATED))
    return pa.concat_tables([events, repeated])


def produce(rate: int, seconds: float, *, paced: bool = True) -> tuple[int, float]:
    """Put the stream on the log; messages, and seconds until they were acknowledged."""
    settings = load_settings()
    ids = {"click": SchemaRegistry(settings.registry_url).register_all()[0].schema_id}
    chance = np.random.default_rng()
    ticks = round(seconds / TICK_SECONDS)
    with EventProducer(settings.kafka_servers, ids, 120) as producer:
        begun = time.time()
        for tick in range(1, ticks + 1):
            due = begun + tick * TICK_SECONDS
            if paced and (wait := due - time.time()) > 0:
                time.sleep(wait)
            now = time.time() if paced else begun - seconds + tick * TICK_SECONDS
            producer.send(CLICK, tick_of_events(chance, rate, int(now * 1e6)))
        producer.flush()
        return producer.events_sent, time.time() - begun


if __name__ == "__main__":
    sent, took = produce(int(sys.argv[1]), float(sys.argv[2]))
    print(f"{sent} {took:.2f}")
