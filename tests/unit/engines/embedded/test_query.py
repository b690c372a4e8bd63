"""What a person can ask, and what they cannot do by asking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from clickstream_guardian.engines.embedded.connection import DuckDbLimits
from clickstream_guardian.engines.embedded.query import QueryEngine
from clickstream_guardian.errors import GuardianError, UsageError
from tests.parity.parquet_lake import SCHEMAS, ParquetLake
from tests.unit.engines.embedded.events import DAY, RECEIVED, click, purchase

Ask = Callable[[str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Rejected:
    """A row of ``raw.rejected``."""

    reason: str
    received_at: datetime


def daily_metrics() -> pa.Table:
    return pa.table({"dt": [date(2014, 4, 7)], "total_clicks": [3]})


def never() -> pa.Table:
    raise AssertionError("read although no query names it")


@pytest.fixture
def ask(folder_lake: ParquetLake, limits: DuckDbLimits) -> Iterator[Ask]:
    folder_lake.land("clicks", [click("a", event_id=1), click("b", 3600, event_id=2)])
    folder_lake.land("clicks", [click("a", event_id=1, received=9)])
    folder_lake.land("purchases", [purchase("a")])
    folder_lake.land("rejected", [Rejected("bad_line", RECEIVED)])
    tables = {"daily_metrics": daily_metrics, "anomalies": never}
    with QueryEngine(folder_lake, tables, limits) as engine:
        yield lambda sql: engine.run(sql).to_pylist()


def test_clicks_hold_each_event_once_and_raw_clicks_all(ask: Ask) -> None:
    assert ask("SELECT count(*) AS n FROM clicks") == [{"n": 2}]
    assert ask("SELECT count(*) AS n FROM raw_clicks") == [{"n": 3}]


def test_ids_are_hex(ask: Ask) -> None:
    rows = ask("SELECT event_id FROM Clicks ORDER BY event_id")
    assert [row["event_id"] for row in rows] == [f"{1:032x}", f"{2:032x}"]
    assert ask(f"SELECT session_id FROM clicks WHERE event_id = '{2:032x}'") == [
        {"session_id": "b"}
    ]


def test_instants_are_utc_and_days_are_text(ask: Ask) -> None:
    (row,) = ask(f"SELECT occurred_at, dt, hour FROM clicks WHERE dt = '{DAY}' AND hour = '01'")
    assert row == {"occurred_at": datetime(2014, 4, 7, 1, tzinfo=UTC), "dt": DAY, "hour": "01"}


def test_money_is_exact_and_sums_of_counts_are_integers(ask: Ask) -> None:
    assert ask(
        "SELECT price * quantity AS spent, sum(quantity) AS n FROM purchases GROUP BY 1"
    ) == [{"spent": Decimal("3.00"), "n": 2}]


def test_rejected_rows_are_there(ask: Ask) -> None:
    assert ask("SELECT reason, dt FROM rejected") == [{"reason": "bad_line", "dt": "2014-05-01"}]


def test_metric_can_be_joined_with_the_lake(ask: Ask) -> None:
    joined = "daily_metrics JOIN raw_clicks USING (dt)"
    assert ask(f"SELECT total_clicks, count(*) AS n FROM {joined} GROUP BY 1") == [
        {"total_clicks": 3, "n": 3}
    ]


def test_show_tables_lists_everything_and_reads_nothing(ask: Ask) -> None:
    assert {row["name"] for row in ask("show tables")} == {
        *("clicks", "raw_clicks", "purchases", "raw_purchases", "rejected"),
        *("daily_metrics", "anomalies"),
    }
    assert ask("SELECT count(*) AS n FROM clicks") == [{"n": 2}]
    assert ask("SELECT total_clicks AS n FROM daily_metrics") == [{"n": 3}]


def test_describe_names_columns_and_types(ask: Ask) -> None:
    types = {row["column_name"]: row["column_type"] for row in ask("DESCRIBE raw_purchases")}
    assert types["event_id"] == "VARCHAR"
    assert types["price"] == "DECIMAL(12,2)"
    assert types["occurred_at"] == "TIMESTAMP WITH TIME ZONE"


def test_empty_lake_has_typed_empty_views(tmp_path: Path, limits: DuckDbLimits) -> None:
    with QueryEngine(ParquetLake(tmp_path / "none"), {}, limits) as engine:
        for view in ("clicks", "raw_clicks", "purchases", "raw_purchases", "rejected"):
            assert engine.run(f"SELECT dt, hour FROM {view}").num_rows == 0
        assert engine.run("SELECT sum(quantity) FROM purchases").num_rows == 1


def test_file_without_a_newer_column_is_read(
    folder_lake: ParquetLake, limits: DuckDbLimits
) -> None:
    schema = SCHEMAS["clicks"]
    older = schema.remove(schema.get_field_index("category"))
    folder_lake.land("clicks", [click(category="A")])
    folder_lake.land("clicks", [click(seconds=3600, category="B")], older)
    with QueryEngine(folder_lake, {}, limits) as engine:
        rows = engine.run("SELECT category FROM clicks ORDER BY 1").to_pylist()
    assert [row["category"] for row in rows] == ["A", None]


def test_path_with_a_quote_is_read(tmp_path: Path, limits: DuckDbLimits) -> None:
    lake = ParquetLake(tmp_path / "it's")
    lake.land("clicks", [click()])
    with QueryEngine(lake, {}, limits) as engine:
        assert engine.run("SELECT 1 FROM clicks").num_rows == 1


REFUSED = {
    "": "holds 0 statements",
    "SELECT 1; SELECT 2": "holds 2 statements",
    "SELEC 1": 'syntax error at or near "SELEC"',
    "SELECT x FROM clicks": 'Referenced column "x" not found',
    "SELECT * FROM nowhere": "Table with name nowhere does not exist",
    "SELECT * FROM ask": "Table with name ask does not exist",
    "SELECT CAST('x' AS INT)": "Could not convert string 'x' to INT32",
    "SELECT ?": "Values were not provided",
    "CREATE TABLE t (a INT)": "is no SELECT but CREATE",
    "SET threads = 9": "is no SELECT but SET",
    "SELECT * FROM '/etc/passwd'": "does not exist",
    "SELECT * FROM '/etc/hosts.csv'": "file system operations are disabled",
}


@pytest.mark.parametrize("sql", REFUSED)
def test_refusal_is_one_sentence(ask: Ask, sql: str) -> None:
    with pytest.raises(UsageError) as error:
        ask(sql)
    assert REFUSED[sql] in str(error.value)
    assert "\n" not in str(error.value)
    assert "Error:" not in str(error.value)


def test_file_that_vanished_is_no_fault_of_the_query(
    folder_lake: ParquetLake, limits: DuckDbLimits
) -> None:
    folder_lake.land("clicks", [click()])
    folder_lake.land("clicks", [click(seconds=3600)])
    with QueryEngine(folder_lake, {}, limits) as engine:
        Path(folder_lake.files["clicks"][1].path).unlink()
        with pytest.raises(GuardianError, match="run it again") as error:
            engine.run("SELECT * FROM raw_clicks")
    assert not isinstance(error.value, UsageError)


def test_engine_answers_on_after_a_refusal(ask: Ask) -> None:
    with pytest.raises(UsageError):
        ask("SELECT nothing FROM clicks")
    assert ask("SELECT 1 AS one") == [{"one": 1}]
