"""Charts of one session: what it did in a window, and in which windows it was found."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from clickstream_guardian.dashboard import charts, views, words
from clickstream_guardian.dashboard.charts import Chart, Rows

_LEFT = 110
"""Room at the left of charts that stand under one another, in pixels."""

_MOST_ITEMS = 12


def events(anomaly: views.Anomaly, limit: float | None, height: int = 230) -> Chart:
    """The sampled events counted up in their window, with the moment of crossing.

    Args:
        anomaly: What was found.
        limit: Number of events that the rule asks for, if it counts events.
        height: In pixels.
    """
    sample, colour = anomaly.sample, _severity(anomaly)
    rows: Rows = [
        {"at": charts.milliseconds(at), "count": place, "item": item, "when": words.precise(at)}
        for place, (at, item) in enumerate(zip(sample.occurred_at, sample.item_id, strict=False), 1)
    ]
    x = _window_axis()
    base = charts.over(rows)
    steps = base.mark_line(interpolate="step-after", color=colour, strokeWidth=2).encode(
        x=x, y=alt.Y("count:Q", title=None, axis=charts.whole_numbers(_LEFT))
    )
    dots = base.mark_circle(color=colour, size=34, opacity=0.9).encode(
        x=x,
        y="count:Q",
        tooltip=[
            alt.Tooltip("when:N", title="Time (UTC)"),
            alt.Tooltip("item:N", title="Item"),
            alt.Tooltip("count:Q", title="Event in the window"),
        ],
    )
    drawn = [_window(anomaly, x), steps, dots, _crossing(anomaly, x)]
    if limit is not None:
        drawn.append(_threshold(limit))
    return charts.finish(charts.layers(*drawn), height)


def items_height(anomaly: views.Anomaly) -> int:
    """Height of :func:`items` in pixels."""
    return 60 + 19 * min(len(set(anomaly.sample.item_id)), _MOST_ITEMS + 1)


def items(anomaly: views.Anomaly) -> Chart:
    """Which items the sampled events fell on; the rarer ones share one line."""
    sample, colour = anomaly.sample, _severity(anomaly)
    counts: dict[str, int] = {}
    for item in sample.item_id:
        counts[item] = counts.get(item, 0) + 1
    shown = sorted(counts, key=lambda item: (-counts[item], item))[:_MOST_ITEMS]
    others = len(counts) - len(shown)
    rest = f"{others} other {'item' if others == 1 else 'items'}"
    rows: Rows = [
        {
            "at": charts.milliseconds(at),
            "line": item if item in shown else rest,
            "item": item,
            "when": words.precise(at),
        }
        for at, item in zip(sample.occurred_at, sample.item_id, strict=False)
    ]
    order = [*shown, rest] if others else shown
    x = _window_axis()
    axis = alt.Axis(labelLimit=_LEFT - 10, ticks=False, minExtent=_LEFT, maxExtent=_LEFT)
    ticks = (
        charts.over(rows)
        .mark_tick(color=colour, thickness=2, opacity=0.85)
        .encode(
            x=x,
            y=alt.Y("line:N", sort=order, title=None, axis=axis),
            tooltip=[
                alt.Tooltip("when:N", title="Time (UTC)"),
                alt.Tooltip("item:N", title="Item"),
            ],
        )
    )
    return charts.finish(charts.layers(ticks, _crossing(anomaly, x)), items_height(anomaly))


def windows(found: Sequence[views.Anomaly]) -> Chart:
    """A session's windows over time, one line per rule."""
    rows: Rows = [
        {
            "start": charts.milliseconds(one.window_start),
            "end": charts.milliseconds(one.window_end),
            "rule": one.rule,
            "severity": one.severity,
            "why": one.explanation,
            "when": words.span(one.window_start, one.window_end),
        }
        for one in found
    ]
    span = max(one.window_end for one in found) - min(one.window_start for one in found)
    scale = alt.Scale(
        domain=list(charts.SEVERITY_COLOURS), range=list(charts.SEVERITY_COLOURS.values())
    )
    base = charts.over(rows).encode(
        x=alt.X(
            "start:T",
            scale=alt.Scale(type="utc", padding=12),
            title=None,
            axis=charts.time_axis(span),
        ),
        y=alt.Y("rule:N", title=None, axis=alt.Axis(ticks=False, labelLimit=180)),
        color=alt.Color("severity:N", legend=None, scale=scale),
        tooltip=[
            alt.Tooltip("when:N", title="Window"),
            alt.Tooltip("rule:N", title="Rule"),
            alt.Tooltip("severity:N", title="Severity"),
            alt.Tooltip("why:N", title="Why"),
        ],
    )
    spans = base.mark_bar(opacity=0.35, height={"band": 0.55}).encode(x2=alt.X2("end"))
    starts = base.mark_tick(thickness=3, height={"band": 0.55})
    return charts.finish(charts.layers(spans, starts), 50 + 34 * len({one.rule for one in found}))


def _window(anomaly: views.Anomaly, x: alt.X) -> Chart:
    row = {
        "at": charts.milliseconds(anomaly.window_start),
        "end": charts.milliseconds(anomaly.window_end),
    }
    drawn: Chart = (
        charts.over([row]).mark_rect(color=charts.QUIET, opacity=0.09).encode(x=x, x2=alt.X2("end"))
    )
    return drawn


def _crossing(anomaly: views.Anomaly, x: alt.X) -> Chart:
    at = words.precise(anomaly.first_crossed_at)
    row = {
        "at": charts.milliseconds(anomaly.first_crossed_at),
        "note": f"Crossed the threshold at {at}",
    }
    drawn: Chart = (
        charts.over([row])
        .mark_rule(color=charts.QUIET, strokeWidth=1.5, strokeDash=[4, 3])
        .encode(x=x, tooltip=[alt.Tooltip("note:N", title="First crossing")])
    )
    return drawn


def _threshold(limit: float) -> Chart:
    row = {"limit": limit, "note": f"The rule asks for {limit:,.0f} events"}
    base = charts.over([row]).encode(y="limit:Q")
    line = base.mark_rule(color=charts.QUIET, strokeWidth=1.5)
    text = base.mark_text(color=charts.QUIET, align="left", baseline="bottom", dy=-3, fontSize=11)
    return charts.layers(line, text.encode(x=alt.value(6), text="note:N"))


def _window_axis() -> alt.X:
    axis = alt.Axis(format="%H:%M:%S", tickCount=6, grid=False)
    scale = alt.Scale(type="utc", nice=False)
    return alt.X("at:T", scale=scale, title="Time (UTC)", axis=axis)


def _severity(anomaly: views.Anomaly) -> str:
    return charts.SEVERITY_COLOURS.get(anomaly.severity, charts.ACCENT)
