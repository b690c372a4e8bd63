"""The page of the metrics says all there is."""

from __future__ import annotations

from clickstream_guardian.metrics.loader import (
    load_engine_views,
    load_metrics,
    load_serving_views,
)
from clickstream_guardian.metrics.reference import render


def test_page_names_every_metric_view_column_and_ratio() -> None:
    page = render()
    for item in (*load_metrics(), *load_serving_views()):
        assert f"\n## {item.name}\n" in page
        assert all(f"| `{column.name}` | {column.type} |" in page for column in item.columns)
    for metric in load_metrics():
        assert all(f"| `{ratio.name}` |" in page for ratio in metric.ratios)
    assert all(f"| `{view.name}` |" in page for view in load_engine_views())


def test_page_has_no_broken_table() -> None:
    for line in render().splitlines():
        if line.startswith("|"):
            assert line.count("|") == 4, line
