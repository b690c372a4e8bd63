"""The metric SQL on DuckDB equals the oracle on small days full of ties, repeats and gaps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickstream_guardian.engines.embedded.batch import DuckDbEngine
from clickstream_guardian.metrics.loader import load_metrics
from tests.parity.metrics_oracle import RawClick, RawPurchase, Row, by_key, expected_metrics
from tests.parity.parquet_lake import ParquetLake

DAYS = ("2014-04-06", "2014-04-07", "2014-04-08", "2014-04-09")
MIDNIGHT = datetime(2014, 4, 7, tzinfo=UTC)

# Few values each, so that ids repeat within and across days, and instants tie around midnight.
ids = st.integers(0, 14).map(lambda number: number.to_bytes(16, "big"))
sessions = st.sampled_from(["7", "7", "07", "é, a session with a long name"])
items = st.sampled_from(["a", "B", "ä", "item-with-a-long-name"])
categories = st.sampled_from([None, "S", "1", "unknown"])
instants = st.sampled_from(
    [MIDNIGHT + timedelta(milliseconds=ms) for ms in (-60_000, -1, 0, 1, 2, 3, 999, 3_600_000)]
    + [MIDNIGHT + timedelta(days=1, microseconds=us) for us in (-1, 0, 999, 1_500)]
)
arrivals = st.sampled_from([MIDNIGHT + timedelta(days=2, seconds=s) for s in range(2)])
sources = st.sampled_from(["f1", "f2"])
prices = st.one_of(st.none(), st.decimals("0.01", "9999999999.99", places=2))
quantities = st.one_of(st.none(), st.integers(1, 3), st.just(2_147_483_647))


def numbered(rows: list[Any], make: Any) -> list[Any]:
    return [make(*row[:-2], row[-2], 0, offset, row[-1]) for offset, row in enumerate(rows)]


clicks = st.lists(
    st.tuples(ids, sessions, instants, items, categories, sources, arrivals), max_size=25
).map(lambda rows: numbered(rows, RawClick))
purchases = st.lists(
    st.tuples(ids, sessions, instants, items, prices, quantities, sources, arrivals), max_size=12
).map(lambda rows: numbered(rows, RawPurchase))


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ParquetLake, DuckDbEngine]]:
    folder = tmp_path_factory.mktemp("metrics")
    lake = ParquetLake(folder / "lake")
    with DuckDbEngine(lake, folder / "tmp", threads=2) as engine:
        yield lake, engine


def compute(
    engines: tuple[ParquetLake, DuckDbEngine], clicks: list[RawClick], purchases: list[RawPurchase]
) -> dict[str, list[Row]]:
    lake, engine = engines
    shutil.rmtree(lake.folder, ignore_errors=True)
    lake.__init__(lake.folder)  # type: ignore[misc]
    lake.land("clicks", clicks[::2])
    lake.land("clicks", clicks[1::2])
    lake.land("purchases", purchases)
    metrics = load_metrics()
    parts = list(engine.compute_days(metrics, DAYS))
    return {
        metric.name: by_key(
            metric, pa.concat_tables(part.rows[metric.name] for part in parts).to_pylist()
        )
        for metric in metrics
    }


generous = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@generous
@given(clicks=clicks, purchases=purchases)
def test_sql_equals_the_oracle(
    engines: tuple[ParquetLake, DuckDbEngine], clicks: list[RawClick], purchases: list[RawPurchase]
) -> None:
    found = compute(engines, clicks, purchases)
    expected = expected_metrics(clicks, purchases, DAYS)
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert found[name] == rows, name
    hold_the_sums(found)


def hold_the_sums(found: dict[str, list[Row]]) -> None:
    """What adds up must add up, whatever the oracle says."""
    for day in found["daily_metrics"]:
        dt = day["dt"]
        for parts in ("item_daily", "popular_categories"):
            rows = [row for row in found[parts] if row["dt"] == dt]
            assert sum(row["clicks"] for row in rows) == day["total_clicks"]
            assert sum(row["purchases"] for row in rows) == day["total_purchases"]
            assert sum((row["revenue"] for row in rows), Decimal(0)) == day["total_revenue"]
        funnel = {row["step"]: row for row in found["session_funnel"] if row["dt"] == dt}
        steps = [funnel[step]["sessions"] for step in ("VIEW", "MULTI_VIEW", "PURCHASE")]
        assert steps == sorted(steps, reverse=True)
        bought = funnel["PURCHASE"]["sessions"] + funnel["DIRECT_PURCHASE"]["sessions"]
        assert bought == day["buying_sessions"]
