"""Clean numbers equal the same SQL over a lake that never held the excluded sessions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickstream_guardian.engines.days import ComputedDays
from clickstream_guardian.engines.embedded.batch import DuckDbEngine
from clickstream_guardian.metrics.clean import BLAMED_SCHEMA, number_columns
from clickstream_guardian.metrics.loader import load_metrics
from clickstream_guardian.metrics.model import Metric
from tests.parity.metrics_oracle import RawClick, RawPurchase, Row, by_key
from tests.parity.parquet_lake import ParquetLake

DAYS = ("2014-04-06", "2014-04-07", "2014-04-08")
MIDNIGHT = datetime(2014, 4, 7, tzinfo=UTC)
RULES = ("BOT_LIKE", "CLICK_FARM", "SLOW_CRAWLER")

sessions = st.sampled_from(["1", "2", "3", "4", "5", "é"])
items = st.sampled_from(["a", "B", "ä", "c"])
categories = st.sampled_from([None, "S", "1"])
instants = st.sampled_from(
    [MIDNIGHT + timedelta(milliseconds=ms) for ms in (-60_000, -1, 0, 1, 2, 999, 3_600_000)]
    + [MIDNIGHT + timedelta(days=1, microseconds=us) for us in (-1, 0, 999)]
)
prices = st.one_of(st.none(), st.decimals("0.01", "999.99", places=2))
quantities = st.one_of(st.none(), st.integers(1, 3))
numbers = st.integers(0, 2)
clicks = st.lists(st.tuples(numbers, sessions, instants, items, categories), max_size=25)
purchases = st.lists(st.tuples(numbers, sessions, instants, items, prices, quantities), max_size=12)
blame = st.dictionaries(sessions, st.sampled_from(RULES))


def identity(number: int, session: str) -> bytes:
    """An id of its session's own; few, so that some come twice."""
    return f"{session}/{number}".encode().ljust(16)[:16]


def as_rows(made: list[Any], make: Any) -> list[Any]:
    return [
        make(identity(row[0], row[1]), *row[1:], "f", 0, offset, MIDNIGHT + timedelta(days=2))
        for offset, row in enumerate(made)
    ]


def landed(folder: Path, clicks: list[RawClick], purchases: list[RawPurchase]) -> ParquetLake:
    lake = ParquetLake(folder)
    lake.land("clicks", clicks)
    lake.land("purchases", purchases)
    return lake


def computed(lake: ParquetLake, blamed: Mapping[str, str]) -> list[ComputedDays]:
    given_blame = pa.table([list(blamed), list(blamed.values())], schema=BLAMED_SCHEMA)
    with DuckDbEngine(lake, lake.folder / "tmp", threads=1) as engine:
        return list(engine.compute_days(load_metrics(), DAYS, given_blame))


def raw(metric: Metric, parts: list[ComputedDays]) -> list[Row]:
    return by_key(metric, pa.concat_tables(p.rows[metric.name] for p in parts).to_pylist())


def clean(metric: Metric, parts: list[ComputedDays]) -> list[Row]:
    """Raw plus all deltas; an entry of a day of which nothing is left is none."""
    rows = {tuple(row[k] for k in metric.key): row for row in raw(metric, parts)}
    for part in parts:
        for delta in part.deltas[metric.name].to_pylist():
            row = rows[tuple(delta[k] for k in metric.key)]
            for name in number_columns(metric):
                row[name] += delta[name]
    kept = (
        row
        for row in rows.values()
        if len(metric.key) == 1 or any(row[name] for name in number_columns(metric))
    )
    return by_key(metric, list(kept))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clicks=clicks, purchases=purchases, blamed=blame)
def test_raw_plus_deltas_equals_the_sql_over_a_lake_without_the_sessions(
    tmp_path_factory: pytest.TempPathFactory,
    clicks: list[Any],
    purchases: list[Any],
    blamed: dict[str, str],
) -> None:
    folder = tmp_path_factory.mktemp("clean")
    rows = as_rows(clicks, RawClick), as_rows(purchases, RawPurchase)
    found = computed(landed(folder / "all", *rows), blamed)
    for number in range(len(RULES)):
        applied = {s: rule for s, rule in blamed.items() if rule in RULES[: number + 1]}
        left = [[row for row in kind if row.session_id not in applied] for kind in rows]
        alone = computed(landed(folder / f"without-{number}", *left), {})
        step = [
            ComputedDays(
                part.dts,
                part.rows,
                {name: up_to(table, RULES[number]) for name, table in part.deltas.items()},
                part.excluded,
            )
            for part in found
        ]
        for metric in load_metrics():
            assert clean(metric, step) == raw(metric, alone), (metric.name, number)


def up_to(deltas: pa.Table, rule: str) -> pa.Table:
    """The deltas of rules up to one, by name."""
    return pa.Table.from_pylist(
        [row for row in deltas.to_pylist() if row["rule"] <= rule], schema=deltas.schema
    )


def test_a_day_of_nothing_but_abuse_is_a_day_of_zeros(tmp_path: Path) -> None:
    click = RawClick(b"1" * 16, "1", MIDNIGHT, "a", None, "f", 0, 0, MIDNIGHT)
    parts = computed(landed(tmp_path, [click], []), {"1": "BOT_LIKE"})
    daily, funnel, items_, _ = (
        clean(next(m for m in load_metrics() if m.name == name), parts)
        for name in ("daily_metrics", "session_funnel", "item_daily", "popular_categories")
    )
    day = daily[1]
    assert day.pop("dt") == "2014-04-07"
    assert set(day.values()) == {0, Decimal(0)}
    assert len(funnel) == 4 * len(DAYS)
    assert items_ == []


def test_days_of_a_session_are_found(tmp_path: Path) -> None:
    days = [MIDNIGHT, MIDNIGHT + timedelta(days=1), MIDNIGHT + timedelta(days=5)]
    events = [
        RawClick(bytes(16), session, at, "a", None, "f", 0, 0, at)
        for session in ("1", "2")
        for at in days
    ]
    lake = landed(tmp_path, events, [])
    with DuckDbEngine(lake, tmp_path / "tmp", threads=1) as engine:
        found = engine.find_days(["1", "nobody"], besides=["2014-04-08"])
    assert sorted(found.to_pylist(), key=str) == [
        {"dt": "2014-04-07", "session_id": "1"},
        {"dt": "2014-04-12", "session_id": "1"},
    ]
