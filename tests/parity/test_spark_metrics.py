"""The metrics on Spark equal DuckDB's, row by row, over one lake with good days and bad ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clickstream_guardian.cli.opening import opened
from clickstream_guardian.engines.days import ComputedDays, MetricEngine
from clickstream_guardian.events.fields import CLICK, PURCHASE
from clickstream_guardian.lab.generator import write_dataset
from clickstream_guardian.metrics.clean import BLAMED_SCHEMA
from clickstream_guardian.metrics.loader import find_metric, load_metrics
from clickstream_guardian.metrics.model import ColumnType
from clickstream_guardian.pipelines.pace import Pace
from clickstream_guardian.pipelines.replay import Parts, Request, replay
from clickstream_guardian.settings import Settings
from tests.clean import Nobody
from tests.conftest import make_home, remove_home
from tests.parity.metrics_oracle import by_key

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from clickstream_guardian.engines.spark.batch import SparkEngine

ORDINARY, OUTAGE, REPEATED, RESTATED = (date(2014, 4, day) for day in (7, 8, 9, 10))
EMPTY = date(2014, 5, 1)
DAYS = (ORDINARY, OUTAGE, REPEATED, RESTATED, EMPTY)
pytestmark = pytest.mark.cluster


def spoil(clicks: Path, late: Path) -> None:
    """An outage from 06:00 to 18:00 of one day, every event of another twice, some held back."""
    kept, held = [], []
    for number, line in enumerate(clicks.read_bytes().splitlines(keepends=True)):
        day, hour = line.split(b",")[1][:10].decode(), int(line.split(b",")[1][11:13])
        if day == str(OUTAGE) and 6 <= hour < 18:
            continue
        if day == str(RESTATED) and number % 20 == 0:
            held.append(line)
        else:
            kept.append(line)
        if day == str(REPEATED) and number % 3 == 0:
            kept.append(line)
    clicks.write_bytes(b"".join(kept))
    late.write_bytes(b"".join(held))


@dataclass(frozen=True)
class Shop:
    """An embedded home with days of every kind, and a file of what came too late."""

    parts: Parts
    late: Path

    def replay(self, clicks: Path, *purchases: Path) -> None:
        inputs = ((clicks, CLICK), *((path, PURCHASE) for path in purchases))
        replay(self.parts, Request(inputs), Pace.parse("max"), Nobody())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home, data = make_home(), tmp_path_factory.mktemp("data")
    made = write_dataset(
        data,
        scale=0.03,
        days=(ORDINARY, RESTATED),
        seed=5,
        disorder=0.01,
        late=0.002,
        duplicates=0.005,
    )
    spoil(made.clicks_file, data / "late.dat")
    with opened(Settings(home=home, database_url=None)) as parts:
        opened_shop = Shop(parts, data / "late.dat")
        opened_shop.replay(made.clicks_file, made.purchases_file)
        yield opened_shop
    remove_home(home)


@pytest.fixture(scope="module")
def engine(spark: SparkSession, shop: Shop) -> SparkEngine:
    from clickstream_guardian.engines.spark.batch import SparkEngine

    return SparkEngine(spark, shop.parts.lake, days_at_a_time=3)


Rows = dict[str, list[dict[str, Any]]]
TYPES = {
    ColumnType.DAY: pa.string(),
    ColumnType.TEXT: pa.string(),
    ColumnType.COUNT: pa.int64(),
    ColumnType.MONEY: pa.decimal128(38, 2),
}


def computed(engine: MetricEngine, days: Sequence[date]) -> Rows:
    """Every metric's rows in the order of their keys."""
    parts = list(engine.compute_days(load_metrics(), [str(day) for day in days]))
    assert [dt for part in parts for dt in part.dts] == [str(day) for day in sorted(days)]
    return {metric.name: _rows(metric.name, parts) for metric in load_metrics()}


def _rows(name: str, parts: Sequence[ComputedDays]) -> list[dict[str, Any]]:
    rows = pa.concat_tables(part.rows[name] for part in parts)
    metric = find_metric(name)
    assert [field.name for field in rows.schema] == list(metric.column_names)
    assert rows.schema.types == [TYPES[column.type] for column in metric.columns]
    return by_key(metric, rows.to_pylist())


def some_sessions(shop: Shop) -> pa.Table:
    """Every 20th session of the lake, blamed on one of three rules."""
    files = [file.path.removeprefix("file://") for file in shop.parts.lake.data_files("clicks")]
    found = pa.concat_tables(pq.read_table(file, columns=["session_id"]) for file in files)
    names = sorted(found["session_id"].unique().to_pylist())[::20]
    rules = [("BOT_LIKE", "CLICK_FARM", "SLOW_CRAWLER")[n % 3] for n in range(len(names))]
    return pa.table([names, rules], schema=BLAMED_SCHEMA)


def test_clean_numbers_equal_duckdbs(shop: Shop, engine: SparkEngine) -> None:
    blamed, days = some_sessions(shop), [str(day) for day in (ORDINARY, REPEATED, EMPTY)]
    outcomes = [
        list(host.compute_days(load_metrics(), days, blamed))
        for host in (engine, shop.parts.engine)
    ]
    for metric in load_metrics():
        spark, duckdb = (
            pa.concat_tables(part.deltas[metric.name] for part in parts).to_pylist()
            for parts in outcomes
        )
        assert {row["rule"] for row in duckdb} == set(blamed["rule"].to_pylist())
        assert sorted(spark, key=str) == sorted(duckdb, key=str)
    spark, duckdb = (
        pa.concat_tables(part.excluded for part in parts).to_pylist() for parts in outcomes
    )
    assert sorted(spark, key=str) == sorted(duckdb, key=str)


def test_the_days_of_sessions_are_those_of_duckdb(shop: Shop, engine: SparkEngine) -> None:
    sessions = some_sessions(shop)["session_id"].to_pylist()
    spark, duckdb = (
        host.find_days(sessions, [str(OUTAGE)]).select(["dt", "session_id"]).to_pylist()
        for host in (engine, shop.parts.engine)
    )
    assert sorted(spark, key=str) == sorted(duckdb, key=str)
    assert str(OUTAGE) not in {row["dt"] for row in spark}


def test_the_clients_of_sessions_are_those_of_duckdb(shop: Shop, engine: SparkEngine) -> None:
    sessions = [*some_sessions(shop)["session_id"].to_pylist(), "nobody"]
    spark, duckdb = (
        host.find_clients(sessions, ORDINARY, REPEATED)
        .select(["session_id", "user_id", "ip"])
        .to_pylist()
        for host in (engine, shop.parts.engine)
    )
    assert duckdb
    assert sorted(spark, key=str) == sorted(duckdb, key=str)


def test_every_row_equals_duckdb_and_a_late_file_restates_its_day(
    shop: Shop, engine: SparkEngine
) -> None:
    first = computed(engine, DAYS)
    assert first == computed(shop.parts.engine, DAYS)
    by_day = {row["dt"]: row for row in first["daily_metrics"]}
    assert by_day[str(EMPTY)]["total_clicks"] == 0
    assert 0 < by_day[str(OUTAGE)]["total_clicks"] < by_day[str(ORDINARY)]["total_clicks"] * 0.7
    repeated = by_day[str(REPEATED)]
    assert repeated["source_rows"] > repeated["total_clicks"] * 1.3

    shop.replay(shop.late)
    again = computed(engine, [RESTATED])
    assert again == computed(shop.parts.engine, [RESTATED])
    restated = again["daily_metrics"][0]["total_clicks"]
    assert restated > by_day[str(RESTATED)]["total_clicks"]
