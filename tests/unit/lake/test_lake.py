"""Landing rows and finding them again, by the lake's own door, PyIceberg and DuckDB."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.events.fields import CLICK, PURCHASE
from clickstream_guardian.events.schemas import raw_arrow_schema
from clickstream_guardian.lake.lake import Lake, open_lake
from clickstream_guardian.lake.model import SourcePartition

from .conftest import OpenLake
from .rows import FILE, MIDNIGHT, clicks, land, landed_offsets, paths, query, rejections

HOUR = timedelta(hours=1)


def test_rows_come_back_as_they_were_landed(lake: Lake) -> None:
    rows = clicks(0, 100, every=timedelta(minutes=1))
    lake.commit("clicks", lake.write_files("clicks", rows), {FILE: 100}, {})
    back = lake.iceberg_table("clicks").scan().to_arrow().sort_by("offset")
    assert back.select(rows.column_names).cast(rows.schema).equals(rows)
    assert back["dt"].unique().to_pylist() == ["2014-04-07"]
    assert back["hour"].unique().to_pylist() == ["00", "01"]


def test_each_hour_is_one_file_in_its_own_folder(lake: Lake, warehouse: Path) -> None:
    land(lake, 0, 300, every=timedelta(minutes=1))
    folders = [Path(path).parent.relative_to(warehouse).as_posix() for path in paths(lake)]
    assert folders == [f"raw/clicks/data/dt=2014-04-07/hour=0{hour}" for hour in range(5)]


def test_rows_in_any_order_find_their_hours(lake: Lake) -> None:
    rows = clicks(0, 240, every=timedelta(minutes=1))
    shuffled = rows.take(pa.array([(number * 77) % 240 for number in range(240)]))
    staged = lake.write_files("clicks", shuffled)
    lake.commit("clicks", staged, {FILE: 240}, {})
    assert landed_offsets(lake) == list(range(240))
    misplaced = (
        "SELECT count(*) FROM raw WHERE strftime(occurred_at AT TIME ZONE 'UTC', '%Y-%m-%d %H') "
        "<> dt || ' ' || hour"
    )
    assert query(lake, misplaced) == [(0,)]
    assert [file.rows for file in lake.data_files("clicks")] == [60] * 4


def test_an_hour_begins_at_its_first_microsecond(lake: Lake) -> None:
    step = timedelta(microseconds=1)
    land(lake, 0, 2, at=MIDNIGHT + HOUR - step, every=step)
    assert [(file.hour, file.rows) for file in lake.data_files("clicks")] == [("00", 1), ("01", 1)]


def test_rejected_rows_lie_where_they_were_received(lake: Lake) -> None:
    rows = rejections(0, 3, at=MIDNIGHT + HOUR * 5)
    lake.commit("rejected", lake.write_files("rejected", rows), {FILE: 3}, {})
    assert [(file.dt, file.hour) for file in lake.data_files("rejected")] == [("2014-04-07", "05")]


def test_money_and_missing_values_survive(lake: Lake) -> None:
    rows = clicks(0, 2).drop_columns(["category", "url"])
    rows = rows.append_column("price", pa.array([Decimal("12.30"), None], pa.decimal128(12, 2)))
    rows = rows.append_column("quantity", pa.array([3, None], pa.int32()))
    lake.commit("purchases", lake.write_files("purchases", rows), {FILE: 2}, {})
    found = query(lake, "SELECT price, quantity, url FROM raw ORDER BY price", "purchases")
    assert found == [(Decimal("12.30"), 3, None), (None, None, None)]


def test_given_dt_and_hour_cannot_contradict_the_instant(lake: Lake) -> None:
    rows = clicks(0, 1).append_column("dt", pa.array(["1999-01-01"]))
    staged = lake.write_files("clicks", rows.append_column("hour", pa.array(["99"])))
    lake.commit("clicks", staged, {FILE: 1}, {})
    assert query(lake, "SELECT dt, hour FROM raw") == [("2014-04-07", "00")]


@pytest.mark.parametrize("level", [pl.CompatLevel.oldest(), pl.CompatLevel.newest()])
def test_rows_from_polars_land_whatever_its_arrow_types(lake: Lake, level: object) -> None:
    rows = clicks(0, 10)
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    frame = frame.with_columns(pl.col("source").cast(pl.Categorical))
    given = frame.to_arrow(compat_level=level)  # type: ignore[arg-type]
    lake.commit("clicks", lake.write_files("clicks", given), {FILE: 10}, {})
    back = lake.iceberg_table("clicks").scan().to_arrow().select(rows.column_names)
    assert back.cast(rows.schema).equals(rows)


def test_a_large_dictionary_is_not_copied_into_every_file(lake: Lake) -> None:
    rows = clicks(0, 2000, every=timedelta(minutes=1))
    coded = rows.set_column(1, "session_id", rows["session_id"].dictionary_encode())
    plain = lake.write_files("clicks", rows)
    assert lake.write_files("clicks", coded).bytes == plain.bytes


def test_no_rows_make_no_file(lake: Lake) -> None:
    staged = lake.write_files("clicks", clicks(0, 0))
    assert (staged.files, staged.rows, staged.bytes) == ((), 0, 0)


def test_files_carry_field_ids_and_snappy(lake: Lake) -> None:
    land(lake, 0, 10)
    footer = pq.read_metadata(paths(lake)[0])
    fields = {field.name: field.field_id for field in lake.iceberg_table("clicks").schema().fields}
    arrow = footer.schema.to_arrow_schema()
    assert {field.name: int(field.metadata[b"PARQUET:field_id"]) for field in arrow} == fields
    row_group = footer.row_group(0)
    codecs = {row_group.column(number).compression for number in range(footer.num_columns)}
    assert codecs == {"SNAPPY"}
    assert arrow.equals(raw_arrow_schema(CLICK), check_metadata=False)


def test_a_scan_reads_only_the_partitions_asked_for(lake: Lake) -> None:
    land(lake, 0, 96, every=timedelta(minutes=30))
    scan = lake.iceberg_table("clicks").scan(row_filter="dt = '2014-04-08' and hour >= '22'")
    assert len(list(scan.plan_files())) == 2
    assert scan.to_arrow()["offset"].to_pylist() == [92, 93, 94, 95]


def test_bounds_in_the_manifest_prune_by_offset(lake: Lake) -> None:
    land(lake, 0, 96, every=timedelta(minutes=30))
    scan = lake.iceberg_table("clicks").scan(row_filter="offset >= 10 and offset < 12")
    assert len(list(scan.plan_files())) == 1


def test_files_are_chosen_by_day_and_hour(lake: Lake) -> None:
    land(lake, 0, 72, every=HOUR)
    assert len(lake.data_files("clicks")) == 72
    assert len(lake.data_files("clicks", "2014-04-08")) == 48
    assert len(lake.data_files("clicks", "2014-04-08", "2014-04-08")) == 24
    night = lake.data_files("clicks", dt_to="2014-04-07", hours={"00", "23"})
    assert [(file.dt, file.hour) for file in night] == [("2014-04-07", "00"), ("2014-04-07", "23")]


def test_day_counts_are_the_rows_of_each_day(lake: Lake) -> None:
    assert lake.day_counts("clicks") == {}
    land(lake, 0, 30, every=HOUR)
    assert lake.day_counts("raw.clicks") == {"2014-04-07": 24, "2014-04-08": 6}


def test_a_file_knows_its_single_source_and_offsets(lake: Lake) -> None:
    topic = SourcePartition("clicks.v1-with-a-long-name-that-iceberg-would-cut", 2)
    mixed = pa.concat_tables([clicks(5, 10), clicks(0, 10, source=topic)])
    lake.commit("clicks", lake.write_files("clicks", clicks(0, 5)), {FILE: 5}, {})
    lake.commit("clicks", lake.write_files("clicks", mixed), {FILE: 15, topic: 10}, {FILE: 5})
    later = clicks(10, 3, source=topic)
    lake.commit("clicks", lake.write_files("clicks", later), {topic: 13}, {topic: 10})
    known = {file.source: file.offsets for file in lake.data_files("clicks")}
    assert known == {FILE: (0, 4), None: None, topic: (10, 12)}


def test_another_lake_on_the_same_home_sees_what_was_landed(open_here: OpenLake) -> None:
    reader, writer = open_here(), open_here()
    assert reader.data_files("clicks") == []
    land(writer, 0, 10)
    assert reader.day_counts("clicks") == {"2014-04-07": 10}
    assert reader.positions("clicks") == {FILE: 10}


@pytest.mark.parametrize("folder", ["a b", "50%", "a#b?c", "é", "dt=1/hour=2"])
def test_a_home_may_have_any_name(catalog_uri: str, tmp_path: Path, folder: str) -> None:
    with open_lake(catalog_uri, tmp_path / folder) as lake:
        land(lake, 0, 10)
        assert landed_offsets(lake) == list(range(10))
        assert lake.iceberg_table("clicks").scan().to_arrow().num_rows == 10
        assert lake.remove_orphans("clicks").data_files == 0


def test_a_database_of_another_home_is_refused(catalog_uri: str, tmp_path: Path) -> None:
    open_lake(catalog_uri, tmp_path / "one").close()
    with pytest.raises(UsageError, match=r"holds the lake at .*/one/raw/clicks, not at .*/two"):
        open_lake(catalog_uri, tmp_path / "two")


def test_a_database_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(GuardianError, match=r"^Opening the lake failed: the catalog database"):
        open_lake(f"postgresql+psycopg://nobody@/none?host={tmp_path}", tmp_path)


def test_an_unknown_table_is_refused(lake: Lake) -> None:
    with pytest.raises(UsageError, match="no raw table 'visits'; there are clicks, purchases"):
        lake.data_files("visits")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.append_column("colour", rows["url"]), "unknown column 'colour'"),
        (lambda rows: rows.drop_columns(["item_id"]), "lack the column 'item_id'"),
        (
            lambda rows: rows.set_column(0, "event_id", pa.array(["x"] * 3)),
            "Column raw.clicks.event_id came as string",
        ),
        (
            lambda rows: rows.set_column(2, "occurred_at", pa.nulls(3, rows["occurred_at"].type)),
            "no value in 'occurred_at'",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused(lake: Lake, change: object, message: str) -> None:
    with pytest.raises(GuardianError, match=message):
        lake.write_files("clicks", change(clicks(0, 3)))  # type: ignore[operator]
    assert lake.remove_orphans("clicks").data_files == 0


def test_the_purchase_table_has_the_purchase_columns(lake: Lake) -> None:
    columns = [field.name for field in lake.iceberg_table("purchases").schema().fields]
    assert columns == raw_arrow_schema(PURCHASE).names
