"""The cluster's lake as the log should have left it: made, opened, and held against the log."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from pyiceberg.expressions import EqualTo

from clickstream_guardian.events.fields import EVENT_KINDS
from clickstream_guardian.lake.lake import Lake, open_lake
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.kafka.admin import OffsetSpan, offset_spans
from clickstream_guardian.stack.endpoints import (
    catalog_uri,
    lake_properties,
    make_bucket,
    warehouse,
)


@dataclass(frozen=True)
class TopicAudit:
    """One event topic against its table.

    Attributes:
        messages: messages that the log holds now.
        landed: of them, those in the raw table, each counted once.
        rejected: of them, those in ``raw.rejected``, each counted once.
        missing: those in neither.
        repeated: rows above one for the same (partition, offset), in both tables.
    """

    topic: str
    messages: int
    landed: int
    rejected: int
    missing: int
    repeated: int


def open_cluster_lake(settings: Settings) -> Lake:
    """Open the lake on the cluster's S3, with its catalog in the cluster's database."""
    return open_lake(
        catalog_uri(settings), warehouse(settings), properties=lake_properties(settings)
    )


def make_tables(settings: Settings) -> None:
    """Make the bucket and the raw tables in it, or give them the columns that they lack."""
    make_bucket(settings)
    open_cluster_lake(settings).close()


def audit(settings: Settings, lake: Lake) -> list[TopicAudit]:
    """Hold each event topic against the lake, to the message.

    What arrives on the log while this runs is not looked at.
    """
    spans = {kind.topic: offset_spans(settings.kafka_servers, kind.topic) for kind in EVENT_KINDS}
    return [
        compare(
            kind.topic,
            spans[kind.topic],
            landed_positions(lake, kind.table, kind.topic),
            landed_positions(lake, "rejected", kind.topic),
        )
        for kind in EVENT_KINDS
    ]


def landed_rows(lake: Lake, table: str) -> tuple[int, float]:
    """Rows of a raw table by its newest snapshot, and when that was made, seconds since 1970."""
    snapshot = lake.iceberg_table(table).current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return 0, 0.0
    return int(snapshot.summary["total-records"] or 0), snapshot.timestamp_ms / 1000


def landed_positions(lake: Lake, table: str, source: str) -> pl.DataFrame:
    """Columns ``partition`` and ``offset`` of every row of a source."""
    scan = lake.iceberg_table(table).scan(
        row_filter=EqualTo(term="source", value=source), selected_fields=("partition", "offset")
    )
    return pl.DataFrame(pl.from_arrow(scan.to_arrow()))


def compare(
    topic: str, spans: list[OffsetSpan], landed: pl.DataFrame, rejected: pl.DataFrame
) -> TopicAudit:
    """Count what of the spans is in the lake. Pure."""
    messages = sum(span.end - span.begin for span in spans)
    inside_landed, inside_rejected = _inside(landed, spans), _inside(rejected, spans)
    once_landed, once_rejected = inside_landed.unique(), inside_rejected.unique()
    both = pl.concat([once_landed, once_rejected])
    rows = len(inside_landed) + len(inside_rejected)
    return TopicAudit(
        topic=topic,
        messages=messages,
        landed=len(once_landed),
        rejected=len(once_rejected),
        missing=messages - both.n_unique(),
        repeated=rows - both.n_unique(),
    )


def _inside(rows: pl.DataFrame, spans: list[OffsetSpan]) -> pl.DataFrame:
    bounds = pl.DataFrame(
        {
            "partition": [span.partition for span in spans],
            "begin": [span.begin for span in spans],
            "end": [span.end for span in spans],
        },
        schema={"partition": pl.Int32, "begin": pl.Int64, "end": pl.Int64},
    )
    joined = rows.join(bounds, on="partition")
    inside = (pl.col("offset") >= pl.col("begin")) & (pl.col("offset") < pl.col("end"))
    return joined.filter(inside).select("partition", "offset")
