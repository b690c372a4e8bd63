"""Metrics by DuckDB, one boundary a test; ``tests/property/test_metrics.py`` has the rest."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from clickstream_guardian.engines.days import days_between
from clickstream_guardian.engines.embedded.batch import DuckDbEngine
from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.metrics.loader import find_metric, load_metrics
from tests.parity.metrics_oracle import by_key, expected_metrics
from tests.parity.parquet_lake import SCHEMAS, ParquetLake
from tests.unit.engines.embedded.events import DAY, click, purchase


def rows_of(engine: DuckDbEngine, metric: str, dt: str = DAY) -> list[dict[str, Any]]:
    found = find_metric(metric)
    return by_key(found, engine.compute(found, dt, dt).to_pylist())


def day_of(engine: DuckDbEngine, dt: str = DAY) -> dict[str, Any]:
    (row,) = rows_of(engine, "daily_metrics", dt)
    return row


def funnel_of(engine: DuckDbEngine) -> dict[str, int]:
    return {row["step"]: row["sessions"] for row in rows_of(engine, "session_funnel")}


def categories_of(engine: DuckDbEngine) -> dict[str, int]:
    rows = rows_of(engine, "popular_categories")
    return {row["category"]: row["purchases"] for row in rows if row["purchases"]}


def test_empty_lake_gives_zeros_and_empty_lists(engine: DuckDbEngine) -> None:
    day = day_of(engine)
    assert day.pop("dt") == DAY
    assert set(day.values()) == {0, Decimal("0.00")}
    assert set(funnel_of(engine).values()) == {0}
    assert rows_of(engine, "item_daily") == []
    assert rows_of(engine, "popular_categories") == []


def test_gap_in_a_range_has_a_row_of_zeros(folder_lake: ParquetLake, engine: DuckDbEngine) -> None:
    folder_lake.land("clicks", [click(seconds=-1), click(seconds=86_400)])
    found = engine.compute(find_metric("daily_metrics"), "2014-04-06", "2014-04-08").to_pylist()
    assert {row["dt"]: row["total_clicks"] for row in found} == {
        "2014-04-06": 1,
        "2014-04-07": 0,
        "2014-04-08": 1,
    }


def test_types_are_those_of_the_metric(folder_lake: ParquetLake, engine: DuckDbEngine) -> None:
    folder_lake.land("purchases", [purchase()])
    table = engine.compute(find_metric("item_daily"), DAY, DAY)
    assert table.schema.types == [
        *(pa.string(), pa.string(), pa.int64(), pa.int64(), pa.int64(), pa.decimal128(38, 2)),
    ]


def test_session_across_midnight_counts_on_both_days_with_its_own_events(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    folder_lake.land("clicks", [click(seconds=-3), click(seconds=-1), click(seconds=0)])
    assert day_of(engine, "2014-04-06")["total_duration_ms"] == 2000
    assert day_of(engine)["unique_sessions"] == 1
    assert day_of(engine)["total_duration_ms"] == 0


def test_price_or_quantity_unknown_is_no_revenue(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    lines = [purchase("a", price=None), purchase("a", quantity=None), purchase("b")]
    folder_lake.land("purchases", lines)
    day = day_of(engine)
    assert (day["total_purchases"], day["priced_purchases"], day["priced_sessions"]) == (3, 1, 1)
    assert (day["buying_sessions"], day["total_revenue"]) == (2, Decimal("3.00"))


def test_revenue_of_greatest_price_and_quantity_is_exact(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    folder_lake.land("purchases", [purchase(price="9999999999.99", quantity=2**31 - 1)] * 1)
    assert day_of(engine)["total_revenue"] == Decimal("9999999999.99") * (2**31 - 1)


def test_repeat_counts_once_but_is_a_source_row(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    folder_lake.land("clicks", [click(event_id=7), click(event_id=8)])
    folder_lake.land("clicks", [click(event_id=7, source="f2")])
    day = day_of(engine)
    assert (day["total_clicks"], day["source_rows"]) == (2, 3)


def test_of_repeats_the_first_to_arrive_stands(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    first = click(item="first", event_id=7, source="z", received=0)
    folder_lake.land("clicks", [click(item="later", event_id=7, source="a", received=1), first])
    assert [row["item_id"] for row in rows_of(engine, "item_daily")] == ["first"]


def test_of_repeats_received_together_the_least_source_and_offset_stands(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    repeats = [
        click(item="by source", event_id=7, source="b", offset=0),
        click(item="by offset", event_id=7, source="a", offset=2),
        click(item="first", event_id=7, source="a", offset=1),
    ]
    folder_lake.land("clicks", repeats)
    assert [row["item_id"] for row in rows_of(engine, "item_daily")] == ["first"]


def test_same_id_on_two_days_counts_on_both(folder_lake: ParquetLake, engine: DuckDbEngine) -> None:
    folder_lake.land("clicks", [click(seconds=-1, event_id=7), click(event_id=7)])
    assert day_of(engine, "2014-04-06")["total_clicks"] == 1
    assert day_of(engine)["total_clicks"] == 1


def test_purchase_at_the_second_click_is_in_the_funnel(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    folder_lake.land("clicks", [click(seconds=1), click(seconds=2)])
    folder_lake.land("purchases", [purchase(seconds=2)])
    assert funnel_of(engine) == {
        "VIEW": 1,
        "MULTI_VIEW": 1,
        "PURCHASE": 1,
        "DIRECT_PURCHASE": 0,
    }


def test_purchase_just_before_the_second_click_is_direct(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    folder_lake.land("clicks", [click(seconds=1), click(seconds=2)])
    folder_lake.land("purchases", [purchase(seconds=1.999999)])
    assert funnel_of(engine) == {
        "VIEW": 1,
        "MULTI_VIEW": 1,
        "PURCHASE": 0,
        "DIRECT_PURCHASE": 1,
    }


def test_one_purchase_after_the_second_click_is_enough(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    folder_lake.land("clicks", [click(seconds=1), click(seconds=3)])
    folder_lake.land("purchases", [purchase(seconds=2), purchase(seconds=4)])
    assert funnel_of(engine)["PURCHASE"] == 1
    assert funnel_of(engine)["DIRECT_PURCHASE"] == 0


def test_two_clicks_at_one_instant_are_two(folder_lake: ParquetLake, engine: DuckDbEngine) -> None:
    folder_lake.land("clicks", [click(seconds=1), click(seconds=1)])
    folder_lake.land("purchases", [purchase(seconds=1)])
    assert funnel_of(engine)["PURCHASE"] == 1


def test_buyer_without_clicks_is_direct_and_no_view(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    folder_lake.land("purchases", [purchase()])
    assert funnel_of(engine) == {
        "VIEW": 0,
        "MULTI_VIEW": 0,
        "PURCHASE": 0,
        "DIRECT_PURCHASE": 1,
    }


def test_item_bought_without_a_click_counts_its_session(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    folder_lake.land("clicks", [click("a"), click("b")])
    folder_lake.land("purchases", [purchase("a"), purchase("c"), purchase("c", item="j")])
    rows = {row["item_id"]: row for row in rows_of(engine, "item_daily")}
    assert (rows["i"]["sessions"], rows["i"]["purchases"]) == (3, 2)
    assert (rows["j"]["sessions"], rows["j"]["clicks"]) == (1, 0)


def test_purchase_belongs_to_the_last_click_on_its_item_at_or_before_it(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    clicks = [click(seconds=1, category="A"), click(seconds=2, category="B")]
    later = [click(seconds=3, category="C"), click(seconds=2, item="other", category="D")]
    folder_lake.land("clicks", clicks + later)
    folder_lake.land("purchases", [purchase(seconds=2)])
    assert categories_of(engine) == {"B": 1}


def test_of_clicks_at_one_instant_the_greatest_id_gives_the_category(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    clicks = [click(category="A", event_id=0xFF), click(category="B", event_id=0x7F)]
    folder_lake.land("clicks", clicks)
    folder_lake.land("purchases", [purchase()])
    assert categories_of(engine) == {"A": 1}


def test_last_click_without_category_makes_it_unknown(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    folder_lake.land("clicks", [click(seconds=1, category="A"), click(seconds=2)])
    folder_lake.land("purchases", [purchase(seconds=3)])
    assert categories_of(engine) == {"unknown": 1}


def test_click_of_another_session_or_day_gives_no_category(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    clicks = [click(seconds=-1, category="A"), click("other", seconds=1, category="B")]
    folder_lake.land("clicks", clicks)
    folder_lake.land("purchases", [purchase(seconds=2)])
    assert categories_of(engine) == {"unknown": 1}


def test_days_come_in_order_and_each_once(folder_lake: ParquetLake, engine: DuckDbEngine) -> None:
    folder_lake.land("clicks", [click(seconds=86_400 * number) for number in range(9)])
    asked = ["2014-04-15", "2014-04-07", "2014-04-07", "2014-04-10", "2014-04-12"]
    parts = list(engine.compute_days([find_metric("daily_metrics")], asked))
    assert [dt for part in parts for dt in part.dts] == sorted(set(asked))
    rows = [row for part in parts for row in part.rows["daily_metrics"].to_pylist()]
    assert {row["dt"]: row["total_clicks"] for row in rows} == dict.fromkeys(asked, 1)


def test_any_cut_into_days_and_threads_gives_the_same(
    folder_lake: ParquetLake, tmp_path: Path
) -> None:
    clicks = [click(str(n % 5), 20_000 * n, str(n % 3), event_id=n % 17) for n in range(60)]
    purchases = [purchase(str(n % 5), 40_000 * n, str(n % 2)) for n in range(30)]
    folder_lake.land("clicks", clicks)
    folder_lake.land("purchases", purchases)
    days = days_between("2014-04-06", "2014-04-22")
    for threads in (1, 2, 5, 20):
        with DuckDbEngine(folder_lake, tmp_path / "tmp", threads) as engine:
            parts = list(engine.compute_days(load_metrics(), days))
        found = {
            metric.name: by_key(
                metric, pa.concat_tables(part.rows[metric.name] for part in parts).to_pylist()
            )
            for metric in load_metrics()
        }
        assert found == expected_metrics(clicks, purchases, days)


def test_file_without_a_newer_column_is_read(
    folder_lake: ParquetLake, engine: DuckDbEngine
) -> None:
    schema = SCHEMAS["clicks"]
    older = schema.remove(schema.get_field_index("category"))
    folder_lake.land("clicks", [click(category="A")])
    folder_lake.land("clicks", [click(category="B")], older)
    rows = rows_of(engine, "popular_categories")
    assert [row["category"] for row in rows] == ["A", "unknown"]


def test_missing_file_is_one_sentence(folder_lake: ParquetLake, engine: DuckDbEngine) -> None:
    folder_lake.land("clicks", [click()])
    Path(folder_lake.files["clicks"][0].path).unlink()
    with pytest.raises(GuardianError, match=r"metrics of 2014-04-07 to 2014-04-07 cannot .* No f"):
        rows_of(engine, "daily_metrics")


def test_engine_works_on_after_a_failure(folder_lake: ParquetLake, engine: DuckDbEngine) -> None:
    folder_lake.land("clicks", [click()])
    path = Path(folder_lake.files["clicks"][0].path)
    data = path.read_bytes()
    path.write_bytes(data[:50])
    with pytest.raises(GuardianError):
        rows_of(engine, "daily_metrics")
    path.write_bytes(data)
    assert day_of(engine)["total_clicks"] == 1


def test_caller_may_stop_early(folder_lake: ParquetLake, engine: DuckDbEngine) -> None:
    folder_lake.land("clicks", [click(seconds=86_400 * number) for number in range(9)])
    parts = engine.compute_days(load_metrics(), days_between("2014-04-07", "2014-04-15"))
    next(parts)
    parts.close()
    assert day_of(engine)["total_clicks"] == 1


def test_temporary_folder_is_left_empty(folder_lake: ParquetLake, tmp_path: Path) -> None:
    with DuckDbEngine(folder_lake, tmp_path / "tmp") as engine:
        day_of(engine)
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("dt", ["2014-02-30", "20140407", "2014-4-7", "today", ""])
def test_what_is_no_day_is_refused(engine: DuckDbEngine, dt: str) -> None:
    with pytest.raises(UsageError, match="is no day; write one as 2014-04-07"):
        engine.compute(find_metric("daily_metrics"), dt, dt)


def test_empty_range_is_refused() -> None:
    with pytest.raises(UsageError, match="from 2014-04-08 to 2014-04-07 holds no day"):
        days_between("2014-04-08", "2014-04-07")


def test_range_holds_both_ends() -> None:
    assert days_between("2014-02-28", "2014-03-01") == ("2014-02-28", "2014-03-01")
