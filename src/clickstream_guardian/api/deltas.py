"""Answers with ``view=clean`` or ``view=delta``, where they differ from the raw ones in shape.

A delta is clean minus raw: what leaving out abusive sessions changes. The parts of the rules, each
applied after those before it in the order of their names, add up to it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from clickstream_guardian.api.models import (
    Answer,
    Day,
    ItemId,
    PopularItem,
    Ranking,
    RuleName,
    Step,
    metric_answer,
)

Change = Annotated[int, Field(examples=[-1204])]
MoneyChange = Annotated[Decimal, Field(examples=["-96.40"])]
RatioChange = Annotated[Decimal, Field(examples=["0.001200"])]
_Place = Annotated[int, Field(ge=1, examples=[3])]

if TYPE_CHECKING:

    class DayChange(Answer):
        """What leaving out abusive sessions changes of a UTC day's numbers."""

    class RuleDayChange(Answer):
        """What leaving out the sessions blamed on one rule changes of a day's numbers."""
else:
    DayChange = metric_answer(
        "daily_metrics",
        "DayChange",
        "What leaving out abusive sessions changes of a UTC day's numbers.",
        signed=True,
    )
    RuleDayChange = metric_answer(
        "daily_metrics",
        "RuleDayChange",
        "What leaving out the sessions blamed on one rule changes of a day's numbers.",
        signed=True,
        key={"rule": (RuleName, ...)},
    )


class DailyDelta(DayChange):
    """The same, and what each rule changes, in the order in which they are applied."""

    by_rule: list[RuleDayChange] = Field(description="The parts; they add up.")


class DailyDeltaPage(Answer):
    """Days, newest first."""

    days: list[DayChange]


class TotalsChange(Answer):
    """What leaving out abusive sessions changes of the sums over some days."""

    start_date: Day
    end_date: Day
    day_count: int = Field(description="Computed days among them.", ge=0, examples=[30])
    total_clicks: Change = Field(description="Clicks.")
    total_purchases: Change = Field(description="Purchase lines.")
    unique_sessions: Change = Field(description="Sum of the days' sessions.")
    buying_sessions: Change = Field(description="Sum of the days' buying sessions.")
    total_revenue: MoneyChange = Field(description="Known revenue.")
    conversion_rate: RatioChange | None = Field(description="Clean rate minus raw rate.")
    avg_order_value: MoneyChange | None = Field(description="Clean value minus raw value.")


class MetricsSummaryDelta(Answer):
    """What leaving out abusive sessions changes of the newest computed day and those before."""

    latest: DayChange | None = Field(description="Newest computed day; null without any.")
    previous_day: DayChange | None = Field(description="The day before, if computed.")
    previous_week: DayChange | None = Field(description="Seven days before, if computed.")
    totals: TotalsChange | None = Field(description="Sums over the last `days` days up to it.")


class FunnelStepChange(Answer):
    """What changes of a step."""

    step: Step = Field(description="The step.")
    sessions: Change = Field(description="Sessions that reached it.")
    share_ratio: RatioChange | None = Field(description="Clean share minus raw share.")
    drop_ratio: RatioChange | None = Field(description="Clean loss minus raw loss.")


class RuleFunnelChange(Answer):
    """What leaving out the sessions blamed on one rule changes of a funnel."""

    rule: RuleName
    steps: dict[str, int] = Field(
        description="Sessions by step, DIRECT_PURCHASE among them.",
        examples=[{"VIEW": -12, "MULTI_VIEW": -12}],
    )


class FunnelDelta(Answer):
    """What leaving out abusive sessions changes of one day's funnel."""

    dt: Day
    steps: list[FunnelStepChange] = Field(description="VIEW, MULTI_VIEW, PURCHASE.")
    direct_purchase_sessions: Change = Field(description="Sessions outside the steps.")
    by_rule: list[RuleFunnelChange] = Field(description="The parts; they add up.")


class CleanItem(PopularItem):
    """An item by clean numbers, and its other places on the day."""

    raw_rank: _Place = Field(description="Place by the same number with every session counted.")
    robust_rank: _Place = Field(
        description="Place by distinct clean sessions, each counted once whatever it did."
    )
    rank_shift: Change = Field(
        description="raw_rank - robust_rank: how many places better it stands when nobody can "
        "lift it alone."
    )


class CleanItems(Answer):
    """The day's leading items by clean numbers."""

    dt: Day
    by: Ranking = Field(description="What they are ranked by.")
    items: list[CleanItem]


class RuleItemChange(Answer):
    """What leaving out the sessions blamed on one rule changes of an item."""

    rule: RuleName
    clicks: Change = Field(description="Clicks.")
    sessions: Change = Field(description="Sessions that clicked or bought it.")
    purchases: Change = Field(description="Purchase lines.")
    revenue: MoneyChange = Field(description="Known revenue.")


class ItemChange(Answer):
    """What leaving out abusive sessions changes of an item."""

    rank: _Place = Field(description="Place by the size of the change, from 1.")
    item_id: ItemId
    clicks: Change = Field(description="Clicks.")
    sessions: Change = Field(description="Sessions that clicked or bought it.")
    purchases: Change = Field(description="Purchase lines.")
    revenue: MoneyChange = Field(description="Known revenue.")
    by_rule: list[RuleItemChange] = Field(description="The parts; they add up.")


class ItemsDelta(Answer):
    """The items whose number changes most."""

    dt: Day
    by: Ranking = Field(description="Which number.")
    items: list[ItemChange]


class CategoryChange(Answer):
    """What leaving out abusive sessions changes of a category."""

    category: str = Field(description="`unknown` where it is missing.", examples=["S"])
    clicks: Change = Field(description="Clicks in the category.")
    sessions: Change = Field(description="Sessions that clicked or bought in it.")
    purchases: Change = Field(description="Purchase lines that belong to it.")
    revenue: MoneyChange = Field(description="Their known revenue.")


class CategoriesDelta(Answer):
    """The categories whose number changes most."""

    dt: Day
    by: Ranking = Field(description="Which number.")
    category_count: int = Field(description="Categories that change.", ge=0, examples=[12])
    categories: list[CategoryChange]
