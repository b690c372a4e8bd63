"""The two rules as Spark's own windowed aggregations, for comparison with detection."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.kafka.columns import ColumnDecoder, Messages
from clickstream_guardian.sources.kafka.registry import SchemaRegistry

_ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
_EVENTS = "session_id string, occurred_at timestamp, item_id string, event_id string"


def aggregations(
    spark: SparkSession, settings: Settings, offsets: Mapping[str, int], most: int
) -> dict[str, Any]:
    """Drain the topic by both rules at once; seconds and state rows."""
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    # the default provider keeps all state on the heap, which a backlog of millions overflows
    spark.conf.set("spark.sql.streaming.stateStore.providerClass", _ROCKSDB)
    events = _events(spark, settings, offsets, most).dropDuplicatesWithinWatermark(["event_id"])
    tumbling = (
        events.groupBy(f.window("occurred_at", "10 seconds"), "session_id")
        .agg(f.count("*").alias("clicks"))
        .where("clicks >= 50")
    )
    hopping = (
        events.groupBy(f.window("occurred_at", "60 seconds", "10 seconds"), "session_id")
        .agg(f.count("*").alias("clicks"), f.size(f.collect_set("item_id")).alias("items"))
        .where("clicks >= 100 AND items / clicks <= 0.1")
    )
    seconds, rows = 0.0, 0
    for found in (tumbling, hopping):
        took, held = _drained(found)
        seconds, rows = seconds + took, rows + held
    return {"seconds": seconds, "state_rows": rows}


def _events(
    spark: SparkSession, settings: Settings, offsets: Mapping[str, int], most: int
) -> DataFrame:
    url = settings.registry_url

    def decode(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        decoder = ColumnDecoder(CLICK, SchemaRegistry(url).by_id)
        for batch in batches:
            given = Messages(
                batch["value"], batch["offset"].to_numpy(), batch["received_us"].to_numpy()
            )
            events = decoder.decode(given).events
            table = events.drop("event_id", "offset").to_arrow()
            ids = pa.array(events["event_id"].cast(str).to_list(), pa.string())
            columns = [column.cast(_plain(column.type)) for column in table.columns]
            whole = pa.table([*columns, ids], names=[*table.column_names, "event_id"])
            yield from whole.to_batches()

    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka_servers)
        .option("assign", json.dumps({CLICK.topic: [int(number) for number in offsets]}))
        .option("startingOffsets", json.dumps({CLICK.topic: offsets}))
        .option("maxOffsetsPerTrigger", most)
        .load()
        .selectExpr("value", "offset", "unix_micros(timestamp) AS received_us")
        .mapInArrow(decode, _EVENTS)
        .withWatermark("occurred_at", "10 seconds")
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind) else pa.string()


def _drained(found: DataFrame) -> tuple[float, int]:
    folder = tempfile.mkdtemp(prefix="guardian-native-")
    begun = time.monotonic()
    query = (
        found.writeStream.outputMode("append")
        .format("noop")
        .option("checkpointLocation", folder)
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    took = time.monotonic() - begun
    held = max(
        sum(operator["numRowsTotal"] for operator in progress["stateOperators"])
        for progress in query.recentProgress
    )
    shutil.rmtree(folder, ignore_errors=True)
    return took, held
