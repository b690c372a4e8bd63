"""From a file to the lake on S3, to the event."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from clickstream_guardian.events.fields import CLICK, INGESTION_FIELDS, PURCHASE, EventKind
from clickstream_guardian.lab.generator import write_dataset
from clickstream_guardian.sources.kafka.admin import offset_spans
from clickstream_guardian.sources.kafka.files import FileTask, produce_file
from clickstream_guardian.sources.lines import fingerprint
from clickstream_guardian.stack.repair import remove_repeats
from tests.cluster.world import World, made_clicks, wait_for

INGESTION = {field.name for field in INGESTION_FIELDS}
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


def embedded_lake(home: Path, clicks: Path, purchases: Path) -> Path:
    """The raw tables as the embedded profile lands the same files."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GUARDIAN_")}
    subprocess.run(
        [
            *(Path(sys.executable).with_name("guardian"), "--quiet", "replay"),
            *("--clicks", clicks, "--purchases", purchases),
        ],
        env=kept | {"GUARDIAN_HOME": str(home)},
        check=True,
        capture_output=True,
    )
    return home / "lake/raw"


def ends(world: World, kind: EventKind) -> pl.DataFrame:
    """Where each partition of a topic ends now."""
    spans = offset_spans(world.settings.kafka_servers, kind.topic)
    rows = [(span.partition, span.end) for span in spans]
    return pl.DataFrame(rows, schema={"partition": pl.Int32, "end": pl.Int64}, orient="row")


def landed_rows(world: World, kind: EventKind) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(world.lake.iceberg_table(kind.table).scan().to_arrow()))


def test_half_a_million_events_land_to_the_event(
    world: World, dataset: tuple[Path, Path, int], tmp_path: Path
) -> None:
    clicks, purchases, spoiled = dataset
    letters = offset_spans(world.settings.kafka_servers, "dlq.v1")
    letters_before = sum(span.end - span.begin for span in letters)
    begin = {kind.table: ends(world, kind) for kind in (CLICK, PURCHASE)}
    for kind, path in ((CLICK, clicks), (PURCHASE, purchases)):
        with world.producer() as producer:
            task = FileTask(kind=kind, path=path, spool=tmp_path / f"spool-{kind.name}")
            report = produce_file(producer, task, lambda _done, _all: None)
        print(f"{kind.name}: {report.events:,} events at {report.events_per_second:,.0f}/s")
    started = time.monotonic()
    found = world.wait_landed()
    print(f"all readable in the lake {time.monotonic() - started:.1f} s after the last ack")
    assert sum(row.repeated for row in found.values()) == 0

    embedded = embedded_lake(tmp_path / "home", clicks, purchases)
    for kind in (CLICK, PURCHASE):
        rows = landed_rows(world, kind).join(begin[kind.table], on="partition")
        rows = rows.filter(pl.col("offset") >= pl.col("end")).drop("end")
        place = pl.col("occurred_at").dt
        assert (rows["dt"] == rows.select(place.strftime("%Y-%m-%d")).to_series()).all()
        assert (rows["hour"] == rows.select(place.strftime("%H")).to_series()).all()
        assert (
            not rows.select(pl.struct("source", "partition", "offset").is_duplicated())
            .to_series()
            .any()
        )
        columns = [name for name in rows.columns if name not in INGESTION]
        theirs = pl.read_parquet(embedded / kind.table / "data/**/*.parquet").select(columns)
        ours = rows.select(columns).sort("event_id")
        assert ours.equals(theirs.sort("event_id").cast(ours.schema))

    letters = offset_spans(world.settings.kafka_servers, "dlq.v1")
    assert sum(span.end - span.begin for span in letters) - letters_before == spoiled
    wait_for(lambda: len(dead_lines(world, clicks, purchases)) == spoiled, 60)
    reasons = set(dead_lines(world, clicks, purchases)["reason"])
    assert reasons >= {"bad_timestamp", "empty_session", "invalid_utf8", "time_out_of_range"}


def dead_lines(world: World, *files: Path) -> pl.DataFrame:
    """The rejected lines of files, as they lie in the lake."""
    rows = pl.DataFrame(pl.from_arrow(world.lake.iceberg_table("rejected").scan().to_arrow()))
    return rows.filter(pl.col("source").is_in([fingerprint(file) for file in files]))


def test_an_event_is_readable_within_thirty_seconds(world: World) -> None:
    before = world.landed()
    with world.producer() as producer:
        producer.send(CLICK, made_clicks(1, seed=99))
    seconds = wait_for(lambda: world.landed() > before, 30)
    print(f"one event on a quiet topic: readable after {seconds:.1f} s")


def produce_command(*arguments: str) -> subprocess.Popen[str]:
    code = "from clickstream_guardian.stack.produce_commands import produce_app; produce_app()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_an_interrupt_flushes_what_was_sent(world: World, dataset: tuple[Path, Path, int]) -> None:
    def in_log() -> int:
        spans = offset_spans(world.settings.kafka_servers, PURCHASE.topic)
        return sum(span.end for span in spans)

    before = in_log()
    purchases = str(dataset[1])
    running = produce_command(
        "purchases", purchases, "--loop", "--replay-speed", "3000", "--max-events", "2000", "--json"
    )
    wait_for(lambda: in_log() > before + 50, 60)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    report = json.loads(out)
    assert running.returncode == 0
    assert report["events"] == in_log() - before
    print(f"interrupted after {report['events']} events: all of them on the log")


def test_what_was_landed_twice_is_counted_and_removed(world: World) -> None:
    before = world.wait_landed()[CLICK.topic]
    table = world.lake.iceberg_table("clicks")
    some = table.scan(limit=500).to_arrow()
    table.append(some.select(table.schema().column_names))
    assert world.audit()[CLICK.topic].repeated == 500
    assert remove_repeats(world.lake)["clicks"] == 500
    assert world.audit()[CLICK.topic] == before
    assert remove_repeats(world.lake)["clicks"] == 0


def test_small_files_are_merged_while_the_landing_goes_on(world: World) -> None:
    with world.traffic(per_second=500) as traffic:
        wait_for(lambda: traffic.producer.acknowledged > 5000, 60)
        done = world.lake.compact("clicks", datetime.now(UTC), min_files=2)
        at = world.landed()
        wait_for(lambda: world.landed() > at, 60)
    found = world.wait_landed()[CLICK.topic]
    print(f"compacted {done.hours} hours, {done.files_before} files into {done.files_after}")
    assert done.files_after < done.files_before
    assert found.repeated == 0
