"""Clean numbers: what abusive sessions add to a metric, rule by rule, by the metric's own SQL.

Rules are applied one after the other, by name. The delta of a rule is the metric without the
sessions blamed on it and on those before, minus the metric with them; so the deltas of a day add up
to clean minus raw. Each of these states of a day is a *variant*: a day of its own to the SQL, under
a label in the place of ``dt``, and all are computed in one run.

A variant need not hold the whole day. Every number of a metric is a sum of what single sessions
contribute, or of what an item counts for because there is an event on it; so for all sessions
without blame one event is enough on each item that blamed ones touched, and what else they add is
the same before and after. Raw rows are only counted, so there blamed sessions are enough. A
property test holds the outcome equal to computing the whole days. What an event is, and of which
session, is settled before: each event once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from clickstream_guardian.metrics.model import ColumnType, Metric

BLAMED = "blamed"
"""The sessions to leave out: ``session_id`` and the ``rule`` that each is blamed on."""

BLAMED_VISITS = "blamed_visits"
BLAMED_DAYS = "blamed_days"
BLAMED_ITEMS = "blamed_items"
VARIANTS = "variants"

BLAMED_SCHEMA = pa.schema([("session_id", pa.string()), ("rule", pa.string())])
EXCLUDED_SCHEMA = pa.schema([("dt", pa.string()), *BLAMED_SCHEMA])

NEEDED_FIELDS = ("session_id", "item_id")
"""Fields of an event that the SQL here reads."""

_EVERY_EVENT = """(
    SELECT dt, session_id, item_id FROM raw_clicks
    UNION ALL
    SELECT dt, session_id, item_id FROM raw_purchases
)"""

SELECT_BLAMED_VISITS = f"""
SELECT DISTINCT e.dt, e.session_id, e.item_id, b.rule
FROM {_EVERY_EVENT} AS e
JOIN {BLAMED} AS b ON b.session_id = e.session_id
"""
"""The items that blamed sessions have an event on, on the days at hand."""

SELECT_BLAMED_DAYS = f"SELECT DISTINCT dt, session_id, rule FROM {BLAMED_VISITS}"
SELECT_BLAMED_ITEMS = f"SELECT DISTINCT dt, item_id, rule FROM {BLAMED_VISITS}"


@dataclass(frozen=True)
class Variant:
    """A day before, or after, the sessions blamed on a rule are left out."""

    dt: str
    rule: str
    is_after: bool
    label: str


def variants_of(pairs: Iterable[tuple[str, str]]) -> list[Variant]:
    """The variants of days and rules: two of each pair, under labels that are dates."""
    each = [(dt, rule, after) for dt, rule in sorted(set(pairs)) for after in (False, True)]
    return [
        Variant(dt, rule, after, date.fromordinal(number).isoformat())
        for number, (dt, rule, after) in enumerate(each, start=1)
    ]


def select_blamed(view: str, columns: Mapping[str, str]) -> str:
    """The events of blamed sessions, which are there before and not after.

    Args:
        view: one of events, with ``dt`` and ``NEEDED_FIELDS``.
        columns: the fields to return beside ``dt``, as SQL by name.
    """
    return f"""
SELECT {", ".join(columns.values())}, v.label AS dt
FROM (
    SELECT e.*, b.rule
    FROM {view} AS e
    JOIN {BLAMED_DAYS} AS b ON b.dt = e.dt AND b.session_id = e.session_id
) AS events
JOIN {VARIANTS} AS v ON v.dt = events.dt AND v.rule = events.rule
WHERE NOT v.is_after
"""


def select_witnesses(view: str, columns: Mapping[str, str]) -> str:
    """One event of nobody on each item that other sessions have one on; as ``select_blamed``.

    It stands for them all, before and after, and holds nothing but the item.
    """
    held = {"session_id": "''", "item_id": "w.item_id"}
    values = ", ".join(f"{held.get(name, 'NULL')} AS {as_sql}" for name, as_sql in columns.items())
    return f"""
SELECT {values}, v.label AS dt
FROM (
    SELECT DISTINCT e.dt AS day, i.rule, e.item_id
    FROM {view} AS e
    JOIN {BLAMED_ITEMS} AS i ON i.dt = e.dt AND i.item_id = e.item_id
    LEFT JOIN {BLAMED_DAYS} AS b ON b.dt = e.dt AND b.session_id = e.session_id
    WHERE b.rule IS NULL OR b.rule > i.rule
) AS w
JOIN {VARIANTS} AS v ON v.dt = w.day AND v.rule = w.rule
"""


def delta_columns(metric: Metric) -> tuple[str, ...]:
    """The columns of a metric's delta: the day, the rule, the rest of the key, the numbers."""
    return ("dt", "rule", *metric.key[1:], *number_columns(metric))


def number_columns(metric: Metric) -> tuple[str, ...]:
    """The metric's columns that are no part of its key; all of them are numbers."""
    return tuple(name for name in metric.column_names if name not in metric.key)


def delta_rows(metric: Metric, rows: pa.Table, variants: Sequence[Variant]) -> pa.Table:
    """The deltas of a metric, of its rows for the variants; what does not change has no row.

    Returns:
        ``delta_columns``.
    """
    numbers, key = number_columns(metric), ["dt", "rule", *metric.key[1:]]
    place = pc.index_in(rows["dt"], value_set=pa.array([v.label for v in variants], pa.string()))
    after = pa.array([v.is_after for v in variants], pa.bool_()).take(place)
    signed = {
        "dt": pa.array([v.dt for v in variants], pa.string()).take(place),
        "rule": pa.array([v.rule for v in variants], pa.string()).take(place),
        **{name: rows[name] for name in metric.key[1:]},
        **{name: pc.if_else(after, rows[name], pc.negate(rows[name])) for name in numbers},
    }
    summed = pa.table(signed).group_by(key).aggregate([(name, "sum") for name in numbers])
    summed = summed.select([*key, *(f"{name}_sum" for name in numbers)])
    summed = summed.rename_columns([*key, *numbers]).cast(delta_schema(metric))
    changed = [pc.not_equal(summed[name], 0) for name in numbers]
    anything = changed[0]
    for one in changed[1:]:
        anything = pc.or_(anything, one)
    return summed.filter(anything)


def delta_schema(metric: Metric) -> pa.Schema:
    """The types of ``delta_columns``."""
    kinds = {column.name: column.type for column in metric.columns}
    types = {ColumnType.COUNT: pa.int64(), ColumnType.MONEY: pa.decimal128(38, 2)}
    return pa.schema(
        (name, types.get(kinds.get(name, ColumnType.TEXT), pa.string()))
        for name in delta_columns(metric)
    )
