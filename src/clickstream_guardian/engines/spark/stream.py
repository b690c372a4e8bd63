"""The detector's stream in Spark: Kafka in, one call per bucket and batch on the executors, and
what they found to the driver, which saves it.

Spark reads the log, spreads the buckets over the executors, and repeats a batch that failed. It
keeps no state of ours: a bucket's state is a function of the log and of the positions that ``save``
writes (decision 9), so a batch may be repeated, and an executor replaced, at any moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

Batch = DataFrame
"""A batch of the log, still on the executors."""

MESSAGES = pa.schema(
    [
        ("topic", pa.string()),
        ("offset", pa.int64()),
        ("received_us", pa.int64()),
        ("value", pa.binary()),
    ]
)
"""What a judge is given: the bucket's next messages, in no order."""

Judge = Callable[[int, pa.Table], bytes]
"""Called on an executor with a bucket and its ``MESSAGES``; returns what it found, pickled."""

STREAM_PROPERTIES = {
    # One reduce task a bucket; what adaptive execution would decide is known, and costs time.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "200000",
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing."
        "FileSystemBasedCheckpointFileManager"
    ),
    "spark.sql.streaming.minBatchesToRetain": "20",
    "spark.executorEnv.POLARS_MAX_THREADS": "1",
}
"""Session settings for the stream, on top of ``base_properties``."""


@dataclass(frozen=True)
class StreamOptions:
    """How the log is read.

    Attributes:
        servers: bootstrap servers.
        topics: topics with one partition per bucket each.
        buckets: how many.
        starting: topic to partition to offset, where no Spark checkpoint exists yet; a partition
            that is not named starts at the log's beginning.
        checkpoint: folder or URI of Spark's own checkpoint.
        trigger_seconds: least time between two batches.
        most_per_trigger: most messages in a batch.
    """

    servers: str
    topics: tuple[str, ...]
    buckets: int
    starting: Mapping[str, Mapping[int, int]]
    checkpoint: str
    trigger_seconds: float
    most_per_trigger: int


def start_stream(
    spark: SparkSession, options: StreamOptions, on_batch: Callable[[DataFrame], None]
) -> StreamingQuery:
    """Start reading; ``on_batch`` is called on the driver with each batch, in order.

    A batch whose call fails is given again, the very same messages, at the next start.
    """
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", options.servers)
        .option("assign", _assignment(options))
        .option("startingOffsets", _starting(options))
        .option("maxOffsetsPerTrigger", options.most_per_trigger)
        .option("failOnDataLoss", "true")
        .load()
        .selectExpr(
            *("topic", "partition AS bucket", "offset"),
            *("unix_micros(timestamp) AS received_us", "value"),
        )
        .writeStream.queryName("detect")
        .option("checkpointLocation", options.checkpoint)
        .trigger(processingTime=f"{round(options.trigger_seconds * 1000)} milliseconds")
        .foreachBatch(lambda frame, _number: on_batch(frame))
        .start()
    )


def judge_buckets(frame: DataFrame, buckets: int, judge: Judge) -> list[bytes]:
    """Give each bucket of a batch to the judge, on the executors; what they found."""
    columns = MESSAGES.names

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        assert context is not None
        given = [batch.select(columns).cast(MESSAGES) for batch in batches]
        found = judge(context.partitionId(), pa.Table.from_batches(given, MESSAGES))
        yield pa.RecordBatch.from_pydict({"found": pa.array([found], pa.binary())})

    split = frame.repartitionById(buckets, "bucket")
    return [bytes(row.found) for row in split.mapInArrow(run, "found binary").collect()]  # type: ignore[arg-type]


def judge_silence(spark: SparkSession, buckets: int, judge: Judge) -> list[bytes]:
    """Call the judge for every bucket without messages, so that time may pass in silence."""
    empty = "topic string, bucket int, offset long, received_us long, value binary"
    return judge_buckets(spark.createDataFrame([], empty), buckets, judge)


def _assignment(options: StreamOptions) -> str:
    return json.dumps({topic: list(range(options.buckets)) for topic in options.topics})


def _starting(options: StreamOptions) -> str:
    earliest = -2
    return json.dumps(
        {
            topic: {
                str(number): options.starting.get(topic, {}).get(number, earliest)
                for number in range(options.buckets)
            }
            for topic in options.topics
        }
    )


def progress_numbers(progress: Mapping[str, Any]) -> dict[str, float]:
    """Spark's progress report of a batch as numbers: rows, rows a second, milliseconds by step."""
    sources: Sequence[Mapping[str, Any]] = progress.get("sources", [])
    return {
        "input_rows": sum(int(source["numInputRows"]) for source in sources),
        "input_rows_per_second": sum(float(s.get("inputRowsPerSecond") or 0) for s in sources),
        "processed_rows_per_second": sum(
            float(s.get("processedRowsPerSecond") or 0) for s in sources
        ),
        **{f"{name}_ms": float(value) for name, value in progress["durationMs"].items()},
    }
