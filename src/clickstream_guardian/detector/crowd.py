"""Rules keyed by something else than the session, whose blame is carried back to the sessions.

A crowd rule has two steps. The first tells of every session, on its own events in the window,
whether it is a *member* (one that would be blamed). Sessions live whole in one bucket, so a bucket
can do that alone. The second adds up sessions, members and events per key and window, which are
plain sums over buckets, and applies the rule. Members of a key that holds are blamed.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from clickstream_guardian.detector.measures import condition, measured
from clickstream_guardian.detector.packed import crowded_sessions, windows_with_quick_events
from clickstream_guardian.detector.windows import distinct_events, in_windows
from clickstream_guardian.rules.model import (
    Condition,
    Count,
    Distinct,
    Gap,
    Measure,
    MemberCount,
    Ratio,
    Rule,
    least_events,
)

_WINDOW = ["session_id", "start"]
_GROUP = ["key", "start"]


def blamed_sessions(
    rule: Rule, rows: pl.DataFrame, due: np.ndarray
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Members of keys for which the rule holds, with its measures, and the events looked at."""
    assert rule.members is not None
    events = _candidates(rule, rows, due)
    if events.is_empty():  # as most windows are; it spares two dozen queries on nothing
        return events, events
    members = _members(rule.members, events)
    partial = _partial(rule, events).join(members, on=_WINDOW, how="left")
    partial = partial.with_columns(pl.col("is_member").fill_null(value=False))
    held = _sums(rule, partial).filter(condition(rule.when))
    blamed = partial.filter("is_member").select(*_WINDOW, "key")
    return blamed.join(held, on=_GROUP), events


def _members(members: Condition, events: pl.DataFrame) -> pl.DataFrame:
    """Whether a session is a member, for those with enough events to be one."""
    counts = events.group_by(_WINDOW).agg(n=pl.len())
    enough = counts.filter(pl.col("n") >= least_events(members.measures, members.when))
    able = events.join(enough, on=_WINDOW, how="semi").sort(*_WINDOW, "at", "event_id")
    return measured(members.measures, able, _WINDOW).select(
        *_WINDOW, is_member=condition(members.when)
    )


def _candidates(rule: Rule, rows: pl.DataFrame, due: np.ndarray) -> pl.DataFrame:
    """All events, by window, of sessions that may belong to a key with enough sessions."""
    if rule.key == "site":
        due = _crowded(rule, rows, due)
        if not len(due):
            return rows.clear()
        return in_windows(rule, distinct_events(_within(rule, rows, due)), due)
    sessions = crowded_sessions(rule, rows, due, max(1, _least_members(rule)))
    if sessions.is_empty():
        return rows.clear()
    wanted = rows.join(sessions.select("session").unique(), on="session", how="semi")
    named = wanted.select("session", "session_id").unique()
    stays = sessions.join(named, on="session").select(_WINDOW)
    return in_windows(rule, distinct_events(wanted), due).join(stays, on=_WINDOW, how="semi")


def _crowded(rule: Rule, rows: pl.DataFrame, due: np.ndarray) -> np.ndarray:
    """The due windows that may hold as many members as the rule asks for.

    A member whose pauses have a greatest value has two events of its own no further apart. Sessions
    are sorted by a hash; where two share one, what comes between a session's two events is only
    nearer to the second, so no session is missed.
    """
    apart_us, least = _greatest_pause(rule), _least_members(rule)
    if apart_us is None or least < 2:
        return due
    due = windows_with_quick_events(rule, rows, due, apart_us, least)
    if not len(due):
        return due
    ordered = _within(rule, rows, due).select("session_id", "hash", "at").sort("hash", "at")
    same = pl.col("hash") == pl.col("hash").shift()
    quick = ordered.filter(same & (pl.col("at") - pl.col("at").shift() <= apart_us))
    found = in_windows(rule, quick.select("session_id", "at"), due).group_by("start")
    enough = found.agg(n=pl.col("session_id").n_unique()).filter(pl.col("n") >= least)["start"]
    return due[np.isin(due, enough.to_numpy())]


def _greatest_pause(rule: Rule) -> int | None:
    """The greatest pause that every member has at least once, in microseconds; None for any."""
    assert rule.members is not None
    for name, threshold in rule.members.when.items():
        if isinstance(rule.members.measures[name], Gap) and threshold.operator in ("<=", "<"):
            return int(threshold.value * 1e6) + 1
    return None


def _least_members(rule: Rule) -> int:
    """Fewest members of a key with which the rule can hold."""
    counts = {n: m for n, m in rule.measures.items() if isinstance(m, MemberCount)}
    return least_events(counts, {n: t for n, t in rule.when.items() if n in counts})


def _within(rule: Rule, rows: pl.DataFrame, due: np.ndarray) -> pl.DataFrame:
    """The events that lie in one of the windows."""
    every = rule.window.every_us
    panes = np.unique(due[:, None] + np.arange(rule.window.panes) * every)
    return rows.filter((pl.col("at") // every * every).is_in(panes.tolist()))


def _partial(rule: Rule, events: pl.DataFrame) -> pl.DataFrame:
    """Events per session, window and key: what one bucket adds to the sums."""
    if rule.key == "item_id":
        return events.group_by(*_WINDOW, key=pl.col("item_id")).agg(n=pl.len().cast(pl.Int64))
    items = pl.col("item_id").unique().sort().str.join(",")
    key = items if rule.key == "item_set" else pl.lit("site")
    return events.group_by(_WINDOW).agg(n=pl.len().cast(pl.Int64), key=key.first())


def _sums(rule: Rule, partial: pl.DataFrame) -> pl.DataFrame:
    table = partial.group_by(_GROUP).agg(
        *(
            _sum(measure).alias(name)
            for name, measure in rule.measures.items()
            if not isinstance(measure, Ratio)
        )
    )
    for name, measure in rule.measures.items():
        if isinstance(measure, Ratio):
            ratio = pl.col(measure.numerator).cast(pl.Float64) / pl.col(measure.denominator)
            table = table.with_columns(ratio.alias(name))
    return table.select(*_GROUP, *rule.measures)


def _sum(measure: Measure) -> pl.Expr:
    if isinstance(measure, Count):
        return pl.col("n").sum()
    if isinstance(measure, MemberCount):
        return pl.col("is_member").sum().cast(pl.Int64)
    assert isinstance(measure, Distinct)
    return pl.len().cast(pl.Int64)
