"""Charts in Altair. All times are UTC; colours, fonts and axes come from Streamlit's theme."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import altair as alt

from clickstream_guardian.dashboard import views, words

SEVERITY_COLOURS = {
    "critical": "#d8393e",
    "high": "#e5762a",
    "medium": "#c79a1c",
    "low": "#4587c4",
}
"""Between the light and the dark shade of ``style.css``: fit to be seen on both."""

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ACCENT = "#4a7de0"
QUIET = "#8a96ab"
LOST = "#d8393e"

Chart = alt.Chart | alt.LayerChart
Rows = list[dict[str, Any]]

_SHORT_NUMBER = "abs(datum.value) < 1000 ? format(datum.value, '~g') : format(datum.value, '~s')"

alt.data_transformers.enable("default", max_rows=None, consolidate_datasets=False)


def timeline(found: views.Timeline, height: int = 220) -> Chart:
    """Anomalies per bucket, stacked by rule; the outer buckets are there even if empty."""
    size = timedelta(seconds=found.bucket_seconds)
    rows: Rows = [
        {
            "start": milliseconds(start),
            "end": milliseconds(start + size),
            "rule": series.rule,
            "anomalies": count,
            "when": words.span(start, start + size),
        }
        for series in found.series
        for start, count in zip(found.bucket_starts, series.counts, strict=False)
        if count or start in (found.bucket_starts[0], found.bucket_starts[-1])
    ]
    scale = alt.Scale(type="utc", nice=False)
    return finish(
        over(rows)
        .mark_bar(orient="vertical", binSpacing=1)
        .encode(
            x=alt.X("start:T", scale=scale, title=None, axis=time_axis(found.end - found.start)),
            x2=alt.X2("end"),
            y=alt.Y("anomalies:Q", stack=True, title="Anomalies", axis=whole_numbers()),
            color=alt.Color(
                "rule:N",
                title=None,
                legend=alt.Legend(
                    orient="top", columns=3, offset=4, labelFontSize=11, symbolSize=80
                ),
            ),
            tooltip=[
                alt.Tooltip("when:N", title="Windows starting"),
                alt.Tooltip("rule:N", title="Rule"),
                alt.Tooltip("anomalies:Q", title="Anomalies", format=","),
            ],
        ),
        height,
    )


def trend(
    points: Sequence[tuple[datetime, float]], name: str, number_format: str, height: int = 190
) -> Chart:
    """One number per day, oldest first, with its mean over 7 days."""
    rows: Rows = []
    for place, (at, value) in enumerate(points):
        week = [one for _, one in points[max(0, place - 6) : place + 1]]
        rows.append(
            {
                "day": milliseconds(at),
                "value": value,
                "mean": sum(week) / len(week),
                "name": words.day(at.date()),
            }
        )
    x = alt.X("day:T", scale=alt.Scale(type="utc"), title=None, axis=_days())
    y = alt.Y("value:Q", title=None, axis=_value_axis(number_format), scale=alt.Scale(zero=False))
    tooltip = [
        alt.Tooltip("name:N", title="Day"),
        alt.Tooltip("value:Q", title=name, format=number_format),
        alt.Tooltip("mean:Q", title="Mean of 7 days", format=number_format),
    ]
    base = over(rows).encode(x=x, tooltip=tooltip)
    line = base.mark_line(color=ACCENT, strokeWidth=2).encode(y=y)
    dots = base.mark_circle(color=ACCENT, size=28 if len(rows) < 60 else 10).encode(y=y)
    mean = base.mark_line(color=QUIET, strokeWidth=1.5, strokeDash=[4, 3]).encode(y="mean:Q")
    drawn = [mean, line, dots] if len(rows) > 7 else [line, dots]
    return finish(layers(*drawn), height)


def weekdays(
    points: Sequence[tuple[datetime, float]], name: str, number_format: str, height: int = 230
) -> Chart:
    """Mean per weekday as bars, with the range of its days."""
    rows: Rows = []
    for number, weekday in enumerate(WEEKDAYS):
        values = [value for at, value in points if at.weekday() == number]
        if values:
            rows.append(
                {
                    "weekday": weekday,
                    "mean": sum(values) / len(values),
                    "least": min(values),
                    "most": max(values),
                    "days": len(values),
                }
            )
    base = over(rows).encode(
        x=alt.X(
            "weekday:N",
            scale=alt.Scale(domain=list(WEEKDAYS)),
            title=None,
            axis=alt.Axis(labelAngle=0),
        ),
        tooltip=[
            alt.Tooltip("weekday:N", title="Weekday"),
            alt.Tooltip("mean:Q", title=f"{name}, mean", format=number_format),
            alt.Tooltip("least:Q", title="Least", format=number_format),
            alt.Tooltip("most:Q", title="Most", format=number_format),
            alt.Tooltip("days:Q", title="Days"),
        ],
    )
    drawn = base.mark_bar(color=ACCENT, cornerRadiusEnd=3, width={"band": 0.62}).encode(
        y=alt.Y("mean:Q", title=None, axis=_value_axis(number_format))
    )
    spread = base.mark_rule(color=QUIET, strokeWidth=1.5).encode(y="least:Q", y2="most:Q")
    return finish(layers(drawn, spread), height)


def ranking(rows: Rows, label: str, name: str, number_format: str) -> Chart:
    """Rows ``{"label", "value"}`` as bars, the first at the top."""
    order = [row["label"] for row in rows]
    base = over(rows).encode(
        y=alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=170, ticks=False)),
        tooltip=[
            alt.Tooltip("label:N", title=label),
            alt.Tooltip("value:Q", title=name, format=number_format),
        ],
    )
    drawn = base.mark_bar(color=ACCENT, cornerRadiusEnd=3).encode(
        x=alt.X("value:Q", title=name, axis=_value_axis(number_format))
    )
    return finish(drawn, 55 + 21 * len(rows))


def funnel(found: views.Funnel, names: dict[str, str], height: int = 300) -> Chart:
    """The steps as centred bars, each with its sessions and its share of the first."""
    rows: Rows = [
        {
            "step": names.get(step.step, step.step),
            "from": -step.sessions / 2,
            "to": step.sessions / 2,
            "sessions": step.sessions,
            "share": float(step.share_ratio or 0),
            "drop": words.percent(step.drop_ratio),
            "text": f"{words.count(step.sessions)}  ·  {words.percent(step.share_ratio)}",
            "lost": "" if step.drop_ratio is None else f"▼ {words.percent(step.drop_ratio)} lost",
        }
        for step in found.steps
    ]
    order = [row["step"] for row in rows]
    base = over(rows).encode(
        y=alt.Y(
            "step:N",
            sort=order,
            title=None,
            axis=alt.Axis(
                labelFontSize=14, labelPadding=14, labelLimit=240, ticks=False, domain=False
            ),
            scale=alt.Scale(paddingInner=0.28),
        ),
        tooltip=[
            alt.Tooltip("step:N", title="Step"),
            alt.Tooltip("sessions:Q", title="Sessions", format=","),
            alt.Tooltip("share:Q", title="Share of the first step", format=".1%"),
            alt.Tooltip("drop:N", title="Lost since the step before"),
        ],
    )
    drawn = base.mark_bar(cornerRadius=6).encode(
        x=alt.X("from:Q", axis=None),
        x2="to:Q",
        color=alt.Color(
            "step:N",
            sort=order,
            legend=None,
            scale=alt.Scale(domain=order, range=["#7fa3ea", "#4a7de0", "#1d9a8a"]),
        ),
    )
    text = base.mark_text(
        fontSize=14, fontWeight=600, dy=0, color=QUIET, align="left", dx=12
    ).encode(x=alt.X("to:Q"), text="text:N")
    half_a_step = height / max(1, len(rows)) / 2
    lost = base.mark_text(fontSize=12, fontWeight=600, dy=-half_a_step, color=LOST).encode(
        x=alt.XDatum(0), text="lost:N"
    )
    return finish(layers(drawn, text, lost), height)


def time_axis(span: timedelta) -> alt.Axis:
    """An axis of times of day or of days, as the span asks for."""
    shape = "%H:%M:%S" if span < timedelta(minutes=20) else "%H:%M"
    if span > timedelta(days=2):
        shape = "%-d %b" if span > timedelta(days=8) else "%a %-d, %H:%M"
    return alt.Axis(format=shape, grid=False, labelOverlap=True, tickCount=8)


def _days() -> alt.Axis:
    return alt.Axis(format="%-d %b", grid=False, labelOverlap=True, tickCount=8)


def whole_numbers(extent: int = 0) -> alt.Axis:
    """An axis of whole numbers; ``extent`` fixes its room at the left, in pixels."""
    return alt.Axis(
        labelExpr=_SHORT_NUMBER,
        tickMinStep=1,
        tickCount=5,
        minExtent=extent,
        maxExtent=extent or 200,
    )


def _value_axis(number_format: str) -> alt.Axis:
    if "%" in number_format:
        return alt.Axis(format="~%", tickCount=5)
    return alt.Axis(labelExpr=_SHORT_NUMBER, tickCount=5)


def milliseconds(at: datetime) -> float:
    """Milliseconds since the epoch: what Vega counts time in."""
    return at.timestamp() * 1000


def finish(chart: Chart, height: int) -> Chart:
    """Give the chart its height in pixels and the ground of its card."""
    padding = {"left": 0, "top": 4, "right": 8, "bottom": 0}
    finished: Chart = chart.properties(height=height, background="transparent", padding=padding)
    return finished


def over(rows: Rows) -> alt.Chart:
    """A chart of rows."""
    return alt.Chart(alt.InlineData(values=rows))


def layers(*charts: Chart) -> alt.LayerChart:
    """Charts on top of one another."""
    return cast("alt.LayerChart", alt.layer(*charts))
