"""Tables are derived from the field tables, and follow them when a field is added."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyiceberg.types import DecimalType, FixedType, StringType, TimestamptzType

from clickstream_guardian.engines.embedded.connection import DuckDbLimits
from clickstream_guardian.engines.embedded.query import QueryEngine
from clickstream_guardian.lake import catalog, layout
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.lake.layout import RAW_TABLES, iceberg_schema, partition_spec, raw_table

from .conftest import OpenLake
from .rows import FILE, MIDNIGHT, clicks, land, landed_offsets


@pytest.mark.parametrize("name", RAW_TABLES)
def test_every_column_is_optional_and_every_table_is_partitioned_alike(
    lake: Lake, name: str
) -> None:
    table = lake.iceberg_table(name)
    assert not any(field.required for field in table.schema().fields)
    assert [str(field.transform) for field in table.spec().fields] == ["identity", "identity"]
    assert [field.name for field in table.spec().fields] == ["dt", "hour"]
    assert table.schema().column_names == list(raw_table(name).columns)


def test_types_follow_the_field_table() -> None:
    schema = iceberg_schema(raw_table("purchases").fields)
    types = {field.name: field.field_type for field in schema.fields}
    assert types["event_id"] == FixedType(16)
    assert types["occurred_at"] == TimestamptzType()
    assert types["price"] == DecimalType(12, 2)
    assert partition_spec(schema).fields[0].source_id == schema.find_field("dt").field_id


def test_metadata_of_old_versions_is_deleted(lake: Lake) -> None:
    properties = lake.iceberg_table("clicks").properties
    assert properties["write.metadata.delete-after-commit.enabled"] == "true"
    assert properties["write.parquet.compression-codec"] == "snappy"


def test_a_new_field_becomes_a_column_that_old_files_lack(
    open_here: OpenLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = RAW_TABLES["clicks"].fields
    without = replace(RAW_TABLES["clicks"], fields=tuple(f for f in fields if f.name != "ip"))
    with monkeypatch.context() as past:
        for module in (catalog, layout):
            past.setattr(module, "RAW_TABLES", {**RAW_TABLES, "clicks": without})
        old = open_here()
        staged = old.write_files("clicks", clicks(0, 5).drop_columns(["ip"]))
        old.commit("clicks", staged, {FILE: 5}, {})
        assert "ip" not in old.iceberg_table("clicks").schema().column_names
    lake = open_here()
    columns = lake.iceberg_table("clicks").schema().column_names
    assert columns[-1] == "ip"
    land(lake, 5, 5)
    assert lake.iceberg_table("clicks").scan().to_arrow()["ip"].null_count == 10
    assert lake.compact("clicks", MIDNIGHT + timedelta(hours=1), min_files=2).files_after == 1
    assert landed_offsets(lake) == list(range(10))


def test_a_column_of_a_newer_version_survives_a_compaction(lake: Lake, tmp_path: Path) -> None:
    land(lake, 0, 5)
    assert len(lake.further_columns("clicks")) == 0
    with lake.iceberg_table("clicks").update_schema() as update:
        update.add_column("campaign", StringType())
    iceberg = lake.iceberg_table("clicks")
    rows = iceberg.scan().to_arrow()
    column = rows.schema.get_field_index("campaign")
    iceberg.append(rows.set_column(column, "campaign", [["spring"] * 5]))
    land(lake, 5, 5)
    assert lake.further_columns("clicks").names == ["campaign"]
    assert lake.compact("clicks", MIDNIGHT + timedelta(hours=1), min_files=2).files_after == 1
    kept = lake.iceberg_table("clicks").scan().to_arrow()["campaign"]
    assert (len(kept), kept.null_count) == (15, 10)
    limits = DuckDbLimits(threads=1, temp_dir=tmp_path, memory_bytes=1 << 28)
    with QueryEngine(lake, {}, limits) as engine:
        found = engine.run("SELECT count(campaign) AS n FROM clicks")
    assert found.to_pylist() == [{"n": 5}]
