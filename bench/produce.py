"""One producer process against the running stack: events a second, and who spent the processor.

    eval "$(guardian stack env)" && python -m bench.produce clicks.dat

Prints, beside the rate, the seconds of processor that the producer, its encoding alone, and the
three brokers spent in the same time: the cores are shared, so the greatest share gave out first.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from bench.machine import write
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.settings import load_settings
from clickstream_guardian.sources.kafka.avro import encode
from clickstream_guardian.sources.kafka.files import SLICE_EVENTS, as_events
from clickstream_guardian.sources.kafka.producer import EventProducer
from clickstream_guardian.sources.kafka.registry import SchemaRegistry
from clickstream_guardian.sources.spool import Order, build_spool


def cpu_seconds(word: str) -> float:
    """Processor time so far of all processes whose command line holds a word."""
    total = 0.0
    for process in psutil.process_iter():
        try:
            if word in process.cmdline():
                total += sum(process.cpu_times()[:2])
        except psutil.Error:
            continue
    return total


def main(path: Path) -> None:
    """Measure, print, and keep the result."""
    settings = load_settings()
    ids = {"click": SchemaRegistry(settings.registry_url).register_all()[0].schema_id}
    with TemporaryDirectory() as folder:
        spool = build_spool(Path(folder) / "s", path, CLICK, Order.FILE, datetime.now(UTC))
        events = [
            as_events(chunk, CLICK)
            for name, _ in spool.index.parts
            for chunk in spool.part(name).iter_slices(SLICE_EVENTS)
        ]
    count = sum(len(part) for part in events)
    started = time.process_time()
    for part in events:
        encode(CLICK, 1, part).to_pylist()
    encoding = time.process_time() - started
    with EventProducer(settings.kafka_servers, ids, 120) as producer:
        producer.send(CLICK, events[0].slice(0, 1))  # connects, and gets its producer id
        producer.flush()
        brokers, own, begun = cpu_seconds("kafka.Kafka"), time.process_time(), time.monotonic()
        for part in events:
            producer.send(CLICK, part)
        producer.flush()
        seconds = time.monotonic() - begun
    write(
        "produce",
        {
            "events": count,
            "seconds": round(seconds, 2),
            "events_per_second": round(count / seconds),
            "producer_cpu_seconds": round(time.process_time() - own, 2),
            "of_which_encoding": round(encoding, 2),
            "brokers_cpu_seconds": round(cpu_seconds("kafka.Kafka") - brokers, 2),
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
