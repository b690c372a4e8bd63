"""The detector's stream in Spark: Kafka in, one call per bucket and batch on the executors, and
what they found to the driver, which saves it.

Spark reads the log, spreads the buckets over the executors, and repeats a batch that failed. It
keeps no state of ours: a bucket's state is a function of the log and of the positions that ``save``
writes (decision 11), so a batch may be repeated, and an executor replaced, at any moment.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark import TaskContext
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from clickstream_guardian.engines.spark.configuration import is_on_s3
from clickstream_guardian.errors import GuardianError

Session = SparkSession

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

JudgeAll = Callable[[Judge], list[bytes]]
"""Calls a judge for every bucket on the executors; what they returned."""

_PROPERTIES = {
    # One reduce task a bucket; what adaptive execution would decide is known, and costs time.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "200000",
    "spark.sql.streaming.minBatchesToRetain": "20",
    "spark.executorEnv.POLARS_MAX_THREADS": "1",
}
_RENAMES = (
    "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
)
_UPLOADS = "org.apache.spark.internal.io.cloud.AbortableStreamBasedCheckpointFileManager"
"""S3 renames by copying; an upload that is not ended leaves nothing."""


def stream_properties(checkpoint: str) -> dict[str, str]:
    """Session settings for a stream that keeps its checkpoint there, on ``base_properties``."""
    manager = _UPLOADS if is_on_s3(checkpoint) else _RENAMES
    return {**_PROPERTIES, "spark.sql.streaming.checkpointFileManagerClass": manager}


@dataclass(frozen=True)
class StreamOptions:
    """How the log is read.

    Attributes:
        servers: bootstrap servers.
        buckets: partitions of each topic.
        starting: topic to partition to offset, for when no Spark checkpoint exists yet.
        checkpoint: folder of Spark's own checkpoint, or ``s3a://…``.
        trigger_seconds: least time between two batches.
        most_per_trigger: most messages in a batch.
    """

    servers: str
    buckets: int
    starting: Mapping[str, Mapping[str, int]]
    checkpoint: str
    trigger_seconds: float
    most_per_trigger: int


class Host(Protocol):
    """What the stream calls on the driver, one call at a time."""

    def on_batch(self, judge_all: JudgeAll) -> None:
        """The next batch is there; it counts as done when this returns."""

    def on_silence(self, judge_all: JudgeAll) -> None:
        """Nothing is under way; the judges would get no message."""

    def on_progress(self, progress: Mapping[str, Any]) -> None:
        """Spark's report of the last batch."""


class StreamStoppedError(GuardianError):
    """The stream ended by an error; started again, it goes on where it stood."""


class DataLossError(GuardianError):
    """The log no longer holds what is to be read next."""


def run_stream(
    spark: SparkSession, options: StreamOptions, host: Host, stopping: Callable[[], bool]
) -> None:
    """Read the log and hand on its batches, until told to stop.

    A batch whose call fails is given again, the very same messages, at the next start.

    Raises:
        DataLossError: the log no longer holds what is to be read next.
        StreamStoppedError: anything else of Spark's.
        GuardianError: what the host raised.
    """
    raised: list[Exception] = []
    busy, ending = threading.Lock(), threading.Event()

    def on_batch(frame: DataFrame, _number: int) -> None:
        with busy:
            if ending.is_set():
                raise StreamStoppedError("The stream is to end.")
            try:
                host.on_batch(lambda judge: _judged(frame, options.buckets, judge))
            except Exception as error:
                raised.append(error)
                raise

    nothing = _nothing(spark)
    try:
        query = _started(spark, options, on_batch)
        try:
            while not query.awaitTermination(_LOOK_SECONDS) and not stopping():
                with busy:
                    host.on_silence(lambda judge: _judged(nothing, options.buckets, judge))
                if query.lastProgress is not None:
                    host.on_progress(json.loads(query.lastProgress.json))
        finally:
            ending.set()
            with busy:  # a batch under way ends; Spark would cut it off
                pass
            query.stop()
    except (PySparkException, Py4JError) as error:
        cause = raised[-1] if raised else error
        if isinstance(cause, GuardianError):
            raise cause from error
        raise _explained(cause) from error


def _explained(cause: Exception) -> GuardianError:
    text = f"{cause}\n{getattr(cause, 'java_exception', '')}"
    if any(sign in text for sign in _DATA_LOSS):
        return DataLossError(
            "The log no longer holds the messages to go on from, so some would never be judged; "
            "accept that by another --group, which begins anew."
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "Error: " in line or "Exception: " in line]
    said = (errors or lines or [type(cause).__name__])[-1 if errors else 0]
    return StreamStoppedError(f"Spark gave up a batch: {said[:300]}")


def _started(
    spark: SparkSession, options: StreamOptions, on_batch: Callable[[DataFrame, int], None]
) -> StreamingQuery:
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", options.servers)
        .option("assign", _assignment(options))
        .option("startingOffsets", json.dumps(options.starting))
        .option("maxOffsetsPerTrigger", options.most_per_trigger)
        .option("failOnDataLoss", "true")
        .option("kafka.fetch.max.wait.ms", "50")
        .load()
        .selectExpr(
            *("topic", "partition AS bucket", "offset"),
            *("unix_micros(timestamp) AS received_us", "value"),
        )
        .writeStream.queryName("detect")
        .option("checkpointLocation", options.checkpoint)
        .trigger(processingTime=f"{round(options.trigger_seconds * 1000)} milliseconds")
        .foreachBatch(on_batch)
        .start()
    )


def _judged(frame: DataFrame, buckets: int, judge: Judge) -> list[bytes]:
    """Give each bucket of a batch to the judge, on the executors; what they found."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        assert context is not None
        given = [batch.select(MESSAGES.names).cast(MESSAGES) for batch in batches]
        found = judge(context.partitionId(), pa.Table.from_batches(given, MESSAGES))
        yield pa.RecordBatch.from_pydict({"found": pa.array([found], pa.binary())})

    split = frame.repartitionById(buckets, "bucket")
    return [bytes(row.found) for row in split.mapInArrow(run, "found binary").collect()]  # type: ignore[arg-type]


def _nothing(spark: SparkSession) -> DataFrame:
    """A batch without a message; made without a Python worker, whose start would hold up a step."""
    return spark.range(0).selectExpr(
        *("'' AS topic", "0 AS bucket", "id AS offset", "id AS received_us"),
        "CAST('' AS binary) AS value",
    )


def _assignment(options: StreamOptions) -> str:
    return json.dumps({topic: list(range(options.buckets)) for topic in options.starting})


_LOOK_SECONDS = 1
_DATA_LOSS = (
    "Some data may have been lost",
    "OffsetOutOfRange",
    "KAFKA_DATA_LOSS",
    "failOnDataLoss",
)
