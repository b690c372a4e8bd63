"""The metrics as a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clickstream_guardian.metrics.loader import (
    load_engine_views,
    load_metrics,
    load_serving_views,
)
from clickstream_guardian.metrics.model import EngineView, Metric, MetricColumn, Ratio, ServingView

_HEAD = """# Metrics

*Generated from the metric files; do not edit (`make docs`).*

The day's numbers, computed from the lake by `guardian replay` and `guardian batch`, kept in
PostgreSQL, read by `guardian sql`, the API and the dashboard. A metric is one SQL file in
`src/clickstream_guardian/metrics/catalogue`; the same file runs on DuckDB and on Spark.

- A day is a UTC day, `dt`. Each event counts once a day, however often it was landed.
- The SQL returns counts and sums only. Ratios are columns that PostgreSQL divides (`numeric`,
  missing where the divisor is 0), so no two engines can differ in them.
- A day without events that lies in a computed range has a row of zeros in the metrics that have one
  row (or a fixed set of rows) a day.
- A price or a quantity that is missing is unknown, never 0: such a line counts as a purchase and
  adds nothing to revenue.
- `day` is a date, `text` a string, `count` a whole number of 64 bits, `money` a decimal(38, 2).
  None of them is ever missing.
"""


def render() -> str:
    """Markdown: each metric with its columns and ratios, then the views."""
    lines = [_HEAD]
    for metric in load_metrics():
        lines += _metric(metric)
    for view in load_serving_views():
        lines += _serving_view(view)
    lines += _engine_views(load_engine_views())
    return "\n".join(lines)


def _metric(metric: Metric) -> Iterator[str]:
    yield from _beginning(metric)
    yield from _columns(metric.columns)
    if metric.ratios:
        yield "| ratio | is | meaning |"
        yield "|---|---|---|"
        yield from (_ratio(ratio) for ratio in metric.ratios)
        yield ""


def _serving_view(view: ServingView) -> Iterator[str]:
    yield from _beginning(view)
    yield f"A view of {_names(view.reads)}."
    yield ""
    yield from _columns(view.columns)


def _beginning(item: Metric | ServingView) -> Iterator[str]:
    yield f"## {item.name}"
    yield ""
    yield item.meaning
    yield ""
    yield f"One row per {_names(item.key)}."
    yield ""


def _columns(columns: Sequence[MetricColumn]) -> Iterator[str]:
    yield "| column | type | meaning |"
    yield "|---|---|---|"
    for column in columns:
        yield f"| `{column.name}` | {column.type} | {column.meaning} |"
    yield ""


def _ratio(ratio: Ratio) -> str:
    scale = "" if ratio.scale == 1 else f" / {ratio.scale}"
    return (
        f"| `{ratio.name}` | `{ratio.numerator}` / `{ratio.denominator}`{scale} | {ratio.meaning} |"
    )


def _engine_views(views: Sequence[EngineView]) -> Iterator[str]:
    yield "## What a metric can read"
    yield ""
    yield (
        "`days` has one row `dt` for each day asked for. `raw_clicks` and `raw_purchases` are the "
        "rows of the lake; of their columns a metric may name those of the event. The views are "
        "made by the engine, from the files in `src/clickstream_guardian/metrics/views`. `dt` is "
        "only to be compared and grouped by; its type is the engine's."
    )
    yield ""
    yield "| view | reads | meaning |"
    yield "|---|---|---|"
    for view in views:
        yield f"| `{view.name}` | {_names(view.reads)} | {view.meaning} |"
    yield ""


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
