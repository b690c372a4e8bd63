"""Metric files: what is in the catalogue, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from clickstream_guardian.metrics.header import MetricError
from clickstream_guardian.metrics.loader import (
    find_metric,
    find_metrics,
    in_reading_order,
    load_engine_views,
    load_metrics,
    load_serving_views,
    needed_views,
    parse_engine_view,
    parse_metric,
)
from clickstream_guardian.metrics.model import ColumnType, EngineView

GOOD = """/*
metric: clicks_by_hour
meaning: Clicks of the day.
reads: clicks
key: [dt]
columns:
  dt: {type: day, meaning: The day.}
  clicks: {type: count, meaning: Clicks.}
  spent: {type: money, meaning: Money.}
ratios:
  spent_per_click: {numerator: spent, denominator: clicks, scale: 100, meaning: Money a click.}
*/
SELECT dt, COUNT(*) AS clicks, 0 AS spent FROM clicks GROUP BY dt -- a; comment
"""


def test_catalogue_holds_the_metrics_of_the_design() -> None:
    names = [metric.name for metric in load_metrics()]
    assert names == ["daily_metrics", "item_daily", "popular_categories", "session_funnel"]
    assert [view.name for view in load_serving_views()] == ["popular_items"]


def test_good_file_is_read_whole() -> None:
    metric = parse_metric(GOOD, "x.sql")
    assert metric.key == ("dt",)
    assert metric.reads == ("clicks",)
    assert metric.column_names == ("dt", "clicks", "spent")
    assert [column.type for column in metric.columns][1:] == [ColumnType.COUNT, ColumnType.MONEY]
    assert metric.sql.startswith("SELECT dt")
    ratio = metric.ratios[0]
    assert ratio.expression == "CAST(spent AS numeric) / NULLIF(clicks * 100, 0)"


def test_ratio_without_scale_divides_plainly() -> None:
    ratio = parse_metric(GOOD.replace("scale: 100, ", ""), "x.sql").ratios[0]
    assert ratio.expression == "CAST(spent AS numeric) / NULLIF(clicks, 0)"


WRONG = {
    "no header": ("/*", "", "x.sql:1: does not begin with a header in /* */; add one."),
    "not YAML": ("key: [dt]", "key: [dt", "x.sql:6: the header is not YAML: "),
    "unknown word": ("meaning: Clicks", "meening: Clicks", "did you mean `meaning`?"),
    "word twice": ("key: [dt]", "key: [dt]\nkey: [dt]", "x.sql:6: `key` stands twice; keep one."),
    "missing word": ("meaning: Clicks of the day.\n", "", "x.sql:2: the header has no `meaning`"),
    "empty word": ("meaning: Clicks of the day.", "meaning:", "x.sql:3: `meaning` is empty"),
    "bad name": ("clicks_by_hour", "Clicks by hour", "x.sql:2: `Clicks by hour` is no name"),
    "list for text": ("meaning: Clicks of the day.", "meaning: [a]", "x.sql:3: `meaning` is one"),
    "mapping for names": ("reads: clicks", "reads: {a: b}", "x.sql:4: `reads` is a list of names"),
    "unknown type": ("type: count", "type: counts", "x.sql:8: unknown type `counts`; did you mean"),
    "key not a column": ("key: [dt]", "key: [dt, hour]", "x.sql:5: key `hour` is no column"),
    "key without day": ("key: [dt]", "key: [clicks]", "x.sql:5: the key begins with `clicks`"),
    "day not first": ("dt: {type: day", "dt: {type: text", "x.sql:7: the first column is not `dt`"),
    "column twice": ("  spent: {", "  clicks: {", "x.sql:9: `clicks` stands twice"),
    "ratio of text": ("denominator: clicks", "denominator: dt", "x.sql:11: unknown denominator"),
    "ratio named as column": ("spent_per_click:", "spent:", "x.sql:11: `spent` names a column too"),
    "scale of zero": ("scale: 100", "scale: 0", "x.sql:11: scale `0` is no number from 1."),
    "no mapping": ("{type: count, meaning: Clicks.}", "count", "x.sql:8: a column is written as"),
    "no SELECT": ("SELECT dt,", "DELETE dt,", "x.sql:13: no SELECT follows the header"),
    "semicolon": ("GROUP BY dt", "\n;SELECT 1", "x.sql:14: has a semicolon"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_file_is_refused_with_its_line(case: str) -> None:
    old, new, sentence = WRONG[case]
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    with pytest.raises(MetricError) as error:
        parse_metric(text, "x.sql")
    assert sentence in str(error.value)
    assert str(error.value).startswith("x.sql:")


def test_deeply_nested_header_is_refused() -> None:
    with pytest.raises(MetricError, match=r"x\.sql:1: "):
        parse_metric("/*" + "[" * 5000 + "*/ SELECT 1", "x.sql")


def test_view_takes_no_columns() -> None:
    text = "/*\nview: a\nmeaning: A.\nreads: clicks\nkey: [dt]\n*/\nSELECT 1"
    with pytest.raises(MetricError, match=r"x\.sql:5: unknown word `key`"):
        parse_engine_view(text, "x.sql")


def test_views_come_after_those_they_read() -> None:
    seen = {"raw_clicks", "raw_purchases", "days"}
    for view in load_engine_views():
        assert set(view.reads) <= seen
        seen.add(view.name)


def test_views_in_a_circle_are_refused() -> None:
    views = [
        EngineView("a", "A.", ("b",), "SELECT 1", "a.sql"),
        EngineView("b", "B.", ("a",), "SELECT 1", "b.sql"),
    ]
    with pytest.raises(MetricError, match="views read each other"):
        in_reading_order(views)


def test_only_needed_views_are_made() -> None:
    names = [view.name for view in needed_views([find_metric("daily_metrics")])]
    assert "buyer_clicks" not in names
    assert names.index("clicks") < names.index("session_days")


def test_unknown_metric_is_named_with_the_known_ones() -> None:
    with pytest.raises(MetricError, match=r"no metric 'dayly'; the catalogue has daily_metrics,"):
        find_metric("dayly")


def test_a_view_is_found_by_the_metric_that_it_shows() -> None:
    assert [metric.name for metric in find_metrics(["popular_items"])] == ["item_daily"]
    both = find_metrics(["popular_items", "item_daily", "daily_metrics"])
    assert [metric.name for metric in both] == ["daily_metrics", "item_daily"]
    assert find_metrics([]) == load_metrics()
    with pytest.raises(MetricError, match="no metric 'sales'"):
        find_metrics(["sales"])
