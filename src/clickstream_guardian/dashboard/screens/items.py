"""What people looked at and bought: leading items, those on the rise, categories."""

from __future__ import annotations

from datetime import date
from typing import Any

import streamlit as st

from clickstream_guardian.dashboard import charts, pieces, tables, views
from clickstream_guardian.dashboard.client import Client
from clickstream_guardian.dashboard.screens import abuse
from clickstream_guardian.dashboard.screens.days import choose_day, none_computed

TITLE = "Items"
SUBTITLE = "Leading items and categories of one day, and those on the rise"
RANKINGS = {"clicks": "Clicks", "purchases": "Purchases", "revenue": "Revenue"}
DRAWN = 15
TRENDING_ROWS = 20
MOST_GROWTH = 100


def draw(api: Client) -> None:
    """Draw the page."""
    known = api.days()
    if not known:
        none_computed(TITLE, SUBTITLE, api.freshness())
        return
    st.html(pieces.head(TITLE, SUBTITLE))
    with st.container(key="filters", horizontal=True, vertical_alignment="bottom"):
        by = st.segmented_control(
            "Ranked by",
            list(RANKINGS),
            default="clicks",
            required=True,
            format_func=RANKINGS.__getitem__,
            key="by",
            bind="query-params",
        )
        view = abuse.choose_view()
        day = choose_day(known, api.freshness().newest_event_at)
    if day is None:
        return
    dt = day.dt
    ranked = by or "clicks"
    popular = api.popular(dt, ranked, view=view)
    categories = api.categories(dt, ranked, view=view)
    trending = api.trending(dt)
    left, right = st.columns([1, 1], gap="small")
    with left, st.container(key="card-popular", height="stretch"):
        _popular(popular, ranked, dt)
    with right, st.container(key="card-trending", height="stretch"):
        _trending(trending, dt)
    abuse.items_card(api.items_delta(dt, ranked))
    with st.container(key="card-categories"):
        _categories(categories, ranked, dt)


def _popular(found: views.PopularItems | None, by: str, dt: date) -> None:
    items = found.items if found else ()
    heading = (f"Leading items by {RANKINGS[by].lower()}", f"the first {len(items)}")
    if not items:
        st.html(pieces.title(heading[0]))
        st.html(pieces.nothing("No item was clicked or bought on this day."))
        return
    drawn = [{"label": one.item_id, "value": _value(one, by)} for one in items[:DRAWN]]
    rows = [{**one.model_dump(exclude_none=True), "revenue": float(one.revenue)} for one in items]
    chart = charts.ranking(drawn, "Item", RANKINGS[by], _format(by))
    _ranked(heading, chart, rows, f"items-{dt}-by-{by}.csv", ITEM_COLUMNS, "popular")


def _categories(found: views.Categories | None, by: str, dt: date) -> None:
    categories = found.categories if found else ()
    note = f"all {len(categories)}; they add up to the day"
    if found and len(categories) < found.category_count:
        note = f"the first {len(categories):,} of {found.category_count:,}"
    heading = (f"Categories by {RANKINGS[by].lower()}", note)
    if not categories:
        st.html(pieces.title(heading[0]))
        st.html(pieces.nothing("No category was seen on this day."))
        return
    drawn = [{"label": one.category, "value": _value(one, by)} for one in categories[:DRAWN]]
    rows = [{**one.model_dump(), "revenue": float(one.revenue)} for one in categories]
    chart = charts.ranking(drawn, "Category", RANKINGS[by], _format(by))
    _ranked(heading, chart, rows, f"categories-{dt}-by-{by}.csv", CATEGORY_COLUMNS, "categories")


def _ranked(
    heading: tuple[str, str],
    chart: charts.Chart,
    rows: list[dict[str, Any]],
    file_name: str,
    columns: dict[str, Any],
    key: str,
) -> None:
    tables.head(heading, lambda: rows, file_name, key=f"{key}-csv")
    st.altair_chart(chart, alt=heading[0])
    st.dataframe(
        tables.columns_of(rows),
        hide_index=True,
        column_config=columns,
        key=key,
        height=tables.table_height(len(rows), 8),
    )


def _trending(found: views.TrendingItems | None, dt: date) -> None:
    note = "gain in share of clicks against the 7 days before"
    if found is None or not found.items:
        st.html(pieces.title("On the rise", note))
        why = "No item gained a share of the clicks."
        if found is None or not found.baseline_total_clicks:
            why = "None of the 7 days before is computed, so there is nothing to compare with."
        st.html(pieces.nothing(why))
        return
    rows: list[dict[str, Any]] = [
        {
            "rank": one.rank,
            "item_id": one.item_id,
            "clicks": one.clicks,
            "share_ratio": float(one.share_ratio),
            "baseline_share_ratio": float(one.baseline_share_ratio),
            "change_ratio": float(one.change_ratio),
            "growth": growth(one),
        }
        for one in found.items
    ]
    most = max(row["share_ratio"] for row in rows)
    columns = TRENDING_COLUMNS | {
        "share_ratio": st.column_config.ProgressColumn(
            "Share", format="percent", min_value=0.0, max_value=most
        )
    }
    percents = ("baseline_share_ratio", "change_ratio")
    heading = ("On the rise", note)
    file_name = f"trending-{dt}.csv"
    tables.table(
        heading,
        rows,
        file_name,
        columns,
        key="trending",
        percents=percents,
        most_rows=TRENDING_ROWS,
    )


def growth(one: views.TrendingItem) -> str:
    """How many times its former share; past a hundred times the number says nothing more."""
    if one.growth_ratio is None:
        return "new"
    if one.growth_ratio > MOST_GROWTH:
        return f"> × {MOST_GROWTH}"
    return f"× {one.growth_ratio:.1f}"


def _value(one: views.PopularItem | views.Category, by: str) -> float:
    return float(getattr(one, by))


def _format(by: str) -> str:
    return ",.2f" if by == "revenue" else ",.0f"


NUMBERS: dict[str, Any] = {
    "clicks": tables.number("Clicks"),
    "sessions": tables.number("Sessions"),
    "purchases": tables.number("Purchases"),
    "revenue": tables.money("Revenue"),
}
ITEM_COLUMNS = NUMBERS | {
    "rank": tables.number("#", 45),
    "raw_rank": tables.number("Raw #", 60),
    "robust_rank": tables.number("Robust #", 75),
    "rank_shift": st.column_config.NumberColumn("Shift", format="%+d", width=55),
    "item_id": tables.text("Item"),
}
CATEGORY_COLUMNS = NUMBERS | {"category": tables.text("Category")}
TRENDING_COLUMNS: dict[str, Any] = {
    "rank": tables.number("#", 45),
    "item_id": tables.text("Item"),
    "clicks": tables.number("Clicks"),
    "baseline_share_ratio": tables.percent("Before"),
    "change_ratio": tables.percent("Gain"),
    "growth": tables.text("Growth"),
}
