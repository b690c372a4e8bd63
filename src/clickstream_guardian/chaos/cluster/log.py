"""The clicks' log read back: what lies there of a load, how often, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from clickstream_guardian.chaos.cluster.judge import Longs, Read
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.settings import Settings
from clickstream_guardian.sources.kafka.admin import offset_spans
from clickstream_guardian.sources.kafka.columns import ColumnDecoder, Messages
from clickstream_guardian.sources.kafka.registry import SchemaRegistry
from clickstream_guardian.sources.kafka.spans import read_span


@dataclass(frozen=True)
class Held:
    """A load as it lies on the log.

    Attributes:
        lost: events that were sent and are not there.
        twice: messages above one for an event.
    """

    read: Read
    lost: int
    twice: int


def ends(settings: Settings) -> dict[int, int]:
    """The offset that the next click gets, by partition."""
    spans = offset_spans(settings.kafka_servers, CLICK.topic)
    return {span.partition: span.end for span in spans}


def read_back(settings: Settings, starts: Mapping[int, int], sent: pl.DataFrame) -> Held:
    """Read all clicks from some offsets on, and hold them against what was sent.

    Raises:
        GuardianError: the log cannot be read to its end.
    """
    decoder = ColumnDecoder(CLICK, SchemaRegistry(settings.registry_url).by_id)
    places = sent.select("event_id").with_row_index("place").unique("event_id", keep="first")
    order: dict[int, Longs] = {}
    ids: list[pl.Series] = []
    for partition, (start, end) in _spans(settings, starts).items():
        found = read_span(settings.kafka_servers, CLICK.topic, partition, start, end)
        messages = Messages(
            found["value"].combine_chunks(),
            found["offset"].to_numpy(),
            found["received_us"].to_numpy(),
        )
        decoded = decoder.decode(messages).events
        events = decoded.join(places, on="event_id", how="left", maintain_order="left")
        order[partition] = np.full(end - start, -1, dtype=np.int64)
        known = events.filter(pl.col("place").is_not_null())
        order[partition][known["offset"].to_numpy() - start] = known["place"].to_numpy()
        ids.append(known["event_id"])
    lost, twice = _compare(sent["event_id"], pl.concat(ids))
    return Held(Read(dict(starts), order), lost, twice)


def _compare(sent: pl.Series, found: pl.Series) -> tuple[int, int]:
    """How often an event is missing, and how often there is one too many."""
    counts = [ids.to_frame("event_id").group_by("event_id").len() for ids in (sent, found)]
    both = counts[0].join(counts[1], on="event_id", how="full", suffix="_found").fill_null(0)
    more = both["len_found"].cast(pl.Int64) - both["len"].cast(pl.Int64)
    return -int(more.filter(more < 0).sum()), int(more.filter(more > 0).sum())


def _spans(settings: Settings, starts: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    return {partition: (starts[partition], end) for partition, end in ends(settings).items()}
