"""Queries over clean numbers: the same shapes as the raw ones, and what each rule takes off."""

from __future__ import annotations

from datetime import date
from typing import Literal

from clickstream_guardian.metrics.clean import number_columns
from clickstream_guardian.metrics.loader import find_metric
from clickstream_guardian.metrics.model import ColumnType, Metric
from clickstream_guardian.metrics.model import Ratio as MetricRatio
from clickstream_guardian.store.read import Query, ratio

View = Literal["raw", "clean", "delta"]
"""Which numbers of a day: of every session, without abusive sessions, or clean minus raw."""


def relation(metric_name: str, view: View) -> str:
    """SQL of what stands behind FROM: a metric's columns and ratios in this view.

    Of a metric without ratios a delta has only the entries that change.
    """
    if view == "raw":
        return metric_name
    if view == "clean":
        return f"{metric_name}_clean"
    metric = find_metric(metric_name)
    key, numbers = ", ".join(metric.key), number_columns(metric)
    if not metric.ratios:
        sums = ", ".join(f"sum({name})::{_type(metric, name)} AS {name}" for name in numbers)
        return f"(SELECT {key}, {sums} FROM {metric_name}_delta GROUP BY {key})"
    names = (*numbers, *(one.name for one in metric.ratios))
    changes = ", ".join(f"clean.{name} - raw.{name} AS {name}" for name in names)
    return (
        f"(SELECT {key}, {changes} FROM {metric_name} AS raw "
        f"JOIN {metric_name}_clean AS clean USING ({key}))"
    )


def day_by_rule(dt: date) -> Query:
    """What each rule changes of a day's numbers, in the order of the rules: rows ``(json,)``.

    A ratio's change is that between the numbers before and after the rule is applied, so ratios add
    up as numbers do.
    """
    metric = find_metric("daily_metrics")
    numbers = number_columns(metric)
    after = ", ".join(
        f'raw.{name} + sum(d.{name}) OVER (ORDER BY d.rule COLLATE "C") AS after_{name}'
        for name in numbers
    )
    shown = ", ".join(f"{name}{_as_text(metric, name)} AS {name}" for name in numbers)
    ratios = "".join(f", {ratio(_ratio_change(one))} AS {one.name}" for one in metric.ratios)
    return Query(
        f"""
        SELECT row_to_json(found)::text FROM (
            SELECT rule, {shown}{ratios} FROM (
                SELECT d.*, {after} FROM daily_metrics_delta AS d
                JOIN daily_metrics AS raw USING (dt) WHERE d.dt = %(dt)s
            ) AS steps ORDER BY rule COLLATE "C"
        ) AS found
        """,
        {"dt": dt},
    )


def funnel_by_rule(dt: date) -> Query:
    """What each rule changes of a day's steps, in the order of the rules: rows ``(json,)``."""
    return Query(
        """
        SELECT row_to_json(found)::text FROM (
            SELECT d.rule, json_object_agg(d.step, d.sessions ORDER BY f.step_number) AS steps
            FROM session_funnel_delta AS d JOIN session_funnel AS f USING (dt, step)
            WHERE d.dt = %(dt)s GROUP BY d.rule ORDER BY d.rule COLLATE "C"
        ) AS found
        """,
        {"dt": dt},
    )


def leading_clean(by: str) -> str:
    """SQL of the day's leading items by clean numbers, with their other places.

    ``robust_rank`` goes by the distinct clean sessions that touched the item, each counted once
    whatever it did; so one session cannot lift an item. ``rank_shift`` is how many places better
    that is than ``raw_rank``, the place by the same number with everybody counted.
    """
    return f"""
        SELECT rank, item_id, clicks, sessions, purchases, revenue::text AS revenue,
               raw_rank, robust_rank, raw_rank - robust_rank AS rank_shift
        FROM (
            SELECT c.*, raw_rank,
                   row_number() OVER (ORDER BY c.{by} DESC, c.item_id COLLATE "C") AS rank,
                   row_number() OVER (ORDER BY c.sessions DESC, c.item_id COLLATE "C")
                       AS robust_rank
            FROM item_daily_clean AS c
            JOIN (
                SELECT item_id,
                       row_number() OVER (ORDER BY {by} DESC, item_id COLLATE "C") AS raw_rank
                FROM item_daily WHERE dt = %(dt)s
            ) AS places USING (item_id)
            WHERE c.dt = %(dt)s
        ) AS ranked
        WHERE {by} > 0 AND rank <= %(limit)s ORDER BY rank
    """


def most_changed(by: str) -> str:
    """SQL of the items of the day whose number changes most, with what each rule takes off."""
    return f"""
        SELECT row_number() OVER (ORDER BY abs(sum({by})) DESC, item_id COLLATE "C") AS rank,
               item_id, sum(clicks)::bigint AS clicks, sum(sessions)::bigint AS sessions,
               sum(purchases)::bigint AS purchases, sum(revenue)::text AS revenue,
               json_agg(json_build_object(
                   'rule', rule, 'clicks', clicks, 'sessions', sessions,
                   'purchases', purchases, 'revenue', revenue::text
               ) ORDER BY rule COLLATE "C") AS by_rule
        FROM item_daily_delta WHERE dt = %(dt)s
        GROUP BY item_id HAVING sum({by}) <> 0 ORDER BY rank LIMIT %(limit)s
    """


def _ratio_change(one: MetricRatio) -> str:
    """The ratio after a rule is applied minus the ratio before."""
    top, bottom = one.numerator, one.denominator
    after = f"after_{top}::numeric / nullif(after_{bottom} * {one.scale}, 0)"
    before = (
        f"(after_{top} - {top})::numeric / nullif((after_{bottom} - {bottom}) * {one.scale}, 0)"
    )
    return f"{after} - {before}"


def _type(metric: Metric, name: str) -> str:
    return "numeric(38, 2)" if _as_text(metric, name) else "bigint"


def _as_text(metric: Metric, name: str) -> str:
    """How a number is written: money as text."""
    kinds = {column.name: column.type for column in metric.columns}
    return "::text" if kinds[name] is ColumnType.MONEY else ""
