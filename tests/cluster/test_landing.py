"""From a file to the lake on S3, to the event."""

from __future__ import annotations

import random
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.lab.generator import write_dataset
from clickstream_guardian.sources.kafka.admin import offset_spans
from clickstream_guardian.sources.kafka.files import FileTask, as_events, produce_file
from clickstream_guardian.sources.spool import Order, build_spool
from tests.cluster.world import World

SPOILED = (
    b"not a line",
    b"77,2014-13-45T10:00:00.000Z,214500000,0",
    b",2014-04-07T10:00:00.000Z,214500000,0",
    b"77,2014-04-07T10:00:00.000Z,,0",
    b"77,1999-04-07T10:00:00.000Z,214500000,0",
    b"77,2014-04-07T10:00:00.000Z,21\xff,0",
    b"77,2014-04-07T10:00:00.000Z,214500000,0,5,6,7",
)


def spoil(path: Path, every: int) -> int:
    """Put a malformed line before each so-many-th line; how many."""
    chance = random.Random(5)
    lines = path.read_bytes().splitlines()
    out, spoiled = [], 0
    for number, line in enumerate(lines):
        if number % every == every - 1:
            out.append(chance.choice(SPOILED))
            spoiled += 1
        out.append(line)
    path.write_bytes(b"\n".join(out) + b"\n")
    return spoiled


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, int]:
    folder = tmp_path_factory.mktemp("data")
    made = write_dataset(
        folder, sessions=126_000, days=(date(2014, 4, 7), date(2014, 4, 9)), seed=6
    )
    assert made.clicks + made.purchases > 500_000
    spoiled = spoil(made.clicks_file, 100) + spoil(made.purchases_file, 100)
    return made.clicks_file, made.purchases_file, spoiled


def expected_events(folder: Path, path: Path, kind: EventKind) -> pl.DataFrame:
    """The events that the embedded profile lands of a file."""
    spool = build_spool(folder / kind.name, path, kind, Order.FILE, datetime.now(UTC))
    parts = [as_events(spool.part(name), kind) for name, _ in spool.index.parts]
    return pl.concat([pl.DataFrame(pl.from_arrow(part)) for part in parts])


def landed_rows(world: World, kind: EventKind) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(world.lake.iceberg_table(kind.table).scan().to_arrow()))


def test_half_a_million_events_land_to_the_event(
    world: World, dataset: tuple[Path, Path, int], tmp_path: Path
) -> None:
    clicks, purchases, spoiled = dataset
    for kind, path in ((CLICK, clicks), (PURCHASE, purchases)):
        with world.producer() as producer:
            task = FileTask(kind=kind, path=path, spool=tmp_path / f"spool-{kind.name}")
            report = produce_file(producer, task, lambda _done, _all: None)
        print(f"{kind.name}: {report.events:,} events at {report.events_per_second:,.0f}/s")
    started = time.monotonic()
    found = world.wait_landed()
    print(f"all readable in the lake {time.monotonic() - started:.1f} s after the last ack")
    assert sum(row.repeated for row in found.values()) == 0
    assert sum(row.rejected for row in found.values()) == 0

    for kind, path in ((CLICK, clicks), (PURCHASE, purchases)):
        rows = landed_rows(world, kind)
        place = pl.col("occurred_at").dt
        assert (rows["dt"] == rows.select(place.strftime("%Y-%m-%d")).to_series()).all()
        assert (rows["hour"] == rows.select(place.strftime("%H")).to_series()).all()
        assert (
            not rows.select(pl.struct("source", "partition", "offset").is_duplicated())
            .to_series()
            .any()
        )
        expected = expected_events(tmp_path, path, kind)
        ours = rows.select(expected.columns).sort("event_id")
        assert ours.equals(expected.sort("event_id").cast(ours.schema))

    dead = landed_rows_of_rejected(world)
    assert len(dead) == spoiled
    in_log = sum(
        span.end - span.begin for span in offset_spans(world.settings.kafka_servers, "dlq.v1")
    )
    assert in_log == spoiled
    assert set(dead["reason"]) >= {"bad_timestamp", "empty_session", "invalid_utf8"}


def landed_rows_of_rejected(world: World) -> pl.DataFrame:
    table = world.lake.iceberg_table("rejected")
    return pl.DataFrame(pl.from_arrow(table.scan().to_arrow()))


def test_an_event_is_readable_within_thirty_seconds(world: World) -> None:
    from tests.cluster.world import made_clicks, wait_for

    before = world.landed()
    with world.producer() as producer:
        producer.send(CLICK, made_clicks(1, seed=99))
    seconds = wait_for(lambda: world.landed() > before, 30)
    print(f"one event on a quiet topic: readable after {seconds:.1f} s")
    assert timedelta(seconds=seconds) < timedelta(seconds=30)
