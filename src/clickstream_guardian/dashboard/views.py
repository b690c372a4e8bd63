"""What the pages know of the API's answers: the fields they show, and no others.

Money and ratios are decimals, instants aware UTC, days dates. A field that the API adds later is
passed over; one that is missing or of another kind is an answer that cannot be read.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """What all views share."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Freshness(View):
    """How fresh the API's content is."""

    newest_event_at: datetime | None
    last_written_at: datetime | None
    last_written_seconds: float | None


class Sample(View):
    """The first events of a session in a window: parallel, in time order."""

    occurred_at: tuple[datetime, ...] = ()
    item_id: tuple[str, ...] = ()
    event_id: tuple[str, ...] = ()


class Anomaly(View):
    """One session that one rule found abusive in one window."""

    anomaly_id: str
    rule: str
    rule_version: int
    severity: str
    status: str
    session_id: str
    window_start: datetime
    window_end: datetime
    measures: dict[str, int | float]
    thresholds: dict[str, str]
    event_count: int
    first_crossed_at: datetime
    crossed_event_id: str
    explanation: str
    detected_at: datetime
    sample: Sample = Sample()


class AnomalyPage(View):
    """Anomalies, newest window first."""

    anomalies: tuple[Anomaly, ...]
    next_cursor: str | None


class SessionAnomalies(View):
    """One session's anomalies with evidence."""

    session_id: str
    anomaly_count: int
    anomalies: tuple[Anomaly, ...]


class AnomalyType(View):
    """What one rule has found."""

    rule: str
    anomaly_count: int
    session_count: int
    share_ratio: Decimal
    first_at: datetime
    last_at: datetime


class AnomalyTypes(View):
    """What each rule has found, most first."""

    anomaly_count: int
    types: tuple[AnomalyType, ...]


class TimelineSeries(View):
    """One rule's counts, one number per bucket."""

    rule: str
    counts: tuple[int, ...]


class Timeline(View):
    """Anomalies per bucket of time and rule."""

    start: datetime
    end: datetime
    bucket_seconds: int
    bucket_starts: tuple[datetime, ...]
    series: tuple[TimelineSeries, ...]


class Day(View):
    """One UTC day's numbers."""

    dt: date
    total_clicks: int
    total_purchases: int
    unique_sessions: int
    unique_items: int
    buying_sessions: int
    total_revenue: Decimal
    conversion_rate: Decimal | None
    avg_session_duration_seconds: Decimal | None
    avg_clicks_per_session: Decimal | None
    avg_order_value: Decimal | None


class Days(View):
    """Days, newest first."""

    days: tuple[Day, ...]


class Restatement(View):
    """A day's numbers as they were before they changed, and why they did."""

    dt: date
    restated_at: datetime
    reasons: tuple[str, ...]
    raw: Day
    clean: Day


class Restatements(View):
    """Restatements, newest first."""

    restatements: tuple[Restatement, ...]


class DayChange(View):
    """What leaving out abusive sessions changes of a day."""

    total_clicks: int
    total_purchases: int
    unique_sessions: int
    total_revenue: Decimal
    conversion_rate: Decimal | None


class RuleDayChange(DayChange):
    """What the sessions blamed on one rule make of it."""

    rule: str


class DayDelta(DayChange):
    """The same by rule; the parts add up."""

    by_rule: tuple[RuleDayChange, ...]


class FunnelStep(View):
    """How many sessions reached a step."""

    step: str
    sessions: int
    share_ratio: Decimal | None
    drop_ratio: Decimal | None


class Funnel(View):
    """One day's session funnel."""

    dt: date
    steps: tuple[FunnelStep, ...]
    direct_purchase_sessions: int


class RuleFunnelChange(View):
    """What leaving out the sessions blamed on one rule changes, by step."""

    rule: str
    steps: dict[str, int]


class FunnelDelta(View):
    """What leaving out abusive sessions changes of a funnel."""

    by_rule: tuple[RuleFunnelChange, ...]


class RuleItemChange(View):
    """A rule whose sessions touched an item."""

    rule: str


class ItemChange(View):
    """What leaving out abusive sessions changes of an item."""

    item_id: str
    clicks: int
    sessions: int
    purchases: int
    revenue: Decimal
    by_rule: tuple[RuleItemChange, ...]


class ItemsDelta(View):
    """The items that change most."""

    items: tuple[ItemChange, ...]


class PopularItem(View):
    """An item and its place; the other places are told of clean numbers alone."""

    rank: int
    raw_rank: int | None = None
    robust_rank: int | None = None
    rank_shift: int | None = None
    item_id: str
    clicks: int
    sessions: int
    purchases: int
    revenue: Decimal


class PopularItems(View):
    """The day's leading items."""

    items: tuple[PopularItem, ...]


class Category(View):
    """One category's day."""

    category: str
    clicks: int
    sessions: int
    purchases: int
    revenue: Decimal


class Categories(View):
    """The day's categories."""

    category_count: int
    categories: tuple[Category, ...]


class TrendingItem(View):
    """An item whose share of the clicks grew."""

    rank: int
    item_id: str
    clicks: int
    share_ratio: Decimal
    baseline_share_ratio: Decimal
    change_ratio: Decimal
    growth_ratio: Decimal | None


class TrendingItems(View):
    """Items whose share grew most against their own previous 7 days."""

    baseline_start_date: date
    baseline_end_date: date
    baseline_total_clicks: int
    items: tuple[TrendingItem, ...]


class SourceStatus(View):
    """One source of events and how far it was read."""

    source: str
    kind: str
    place: str
    status: str
    total_lines: int | None
    event_count: int | None
    rejected_count: int | None
    late_count: int | None
    started_at: datetime
    finished_at: datetime | None


class PositionStatus(View):
    """How far a detector has come in one partition."""

    group_name: str
    source: str
    partition: int
    next_offset: int
    newest_event_at: datetime | None
    ended: bool
    lag: int | None


class EventCounts(View):
    """What came in: received = landed + rejected, landed = events + duplicates."""

    received: int
    landed: int | None
    events: int | None
    duplicates: int | None
    rejected: int
    rejected_by_reason: dict[str, int]
    late: int


class Reconciliation(View):
    """Whether every event that came in is in the lake."""

    balanced: bool
    difference: int
    checked_at: datetime


class BatchStatus(View):
    """The daily metrics' state."""

    newest_dt: date | None
    day_count: int
    last_finished_at: datetime | None
    dirty_days: tuple[date, ...] | None


class Status(View):
    """How Guardian itself is doing."""

    at: datetime
    newest_event_at: datetime | None
    lag: int | None
    events: EventCounts
    reconciliation: Reconciliation | None
    batch: BatchStatus
    positions: tuple[PositionStatus, ...]
    sources: tuple[SourceStatus, ...]
