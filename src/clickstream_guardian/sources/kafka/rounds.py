"""A file produced again and again: each round later in time and in sessions of its own."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from clickstream_guardian.events.fields import EventKind
from clickstream_guardian.events.identity import event_ids, ids_from_arrow, ids_to_arrow


def in_round(kind: EventKind, events: pa.Table, number: int, span_us: int) -> pa.Table:
    """The events as round ``number`` (0 is the file itself) sends them.

    Args:
        kind: click or purchase.
        events: columns of ``arrow_schema(kind)``.
        number: the round.
        span_us: how much later each round is than the one before, in microseconds.

    Returns:
        The same columns; ids are new, made of the file's own id and the round.
    """
    if number == 0:
        return events
    ids = ids_from_arrow(events["event_id"].combine_chunks())
    rest = pl.DataFrame(events.drop_columns(["event_id"]))
    shifted = rest.with_columns(
        session_id=pl.col("session_id") + f"~{number}",
        occurred_at=pl.col("occurred_at") + pl.duration(microseconds=number * span_us),
    )
    given = pl.concat_str(ids.cast(pl.String), pl.lit(f"~{number}"), separator="")
    own = event_ids(kind, shifted.with_columns(given_id=given))
    table = shifted.to_arrow().add_column(0, "event_id", ids_to_arrow(own))
    return table.cast(events.schema)
