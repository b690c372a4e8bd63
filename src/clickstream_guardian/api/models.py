"""What the API answers: one model per answer, each field with its meaning, unit and an example.

The bodies themselves are written by PostgreSQL and the read models; tests hold them equal to these.
Money and ratios are decimal strings, instants RFC 3339 in UTC with ``Z``, days ``YYYY-MM-DD``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from clickstream_guardian.metrics.loader import load_metrics
from clickstream_guardian.metrics.model import ColumnType

Severity = Literal["low", "medium", "high", "critical"]
Status = Literal["open", "final", "withdrawn"]
Ranking = Literal["clicks", "purchases", "revenue"]
Step = Literal["VIEW", "MULTI_VIEW", "PURCHASE"]

Instant = Annotated[datetime, Field(examples=["2014-04-07T10:51:09.277000Z"])]
Day = Annotated[date, Field(description="UTC day.", examples=["2014-04-07"])]
Money = Annotated[Decimal, Field(examples=["12462.00"])]
Ratio = Annotated[Decimal, Field(examples=["0.053100"])]
Count = Annotated[int, Field(ge=0, examples=[186_001])]
SessionId = Annotated[str, Field(description="Session; any text.", examples=["11562157"])]
ItemId = Annotated[str, Field(description="Item; any text.", examples=["214536502"])]
RuleName = Annotated[str, Field(description="Name of the rule.", examples=["HIGH_FREQUENCY"])]


class Answer(BaseModel):
    """What all answers share: no field that is not described here."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def metric_answer(
    metric_name: str,
    name: str,
    doc: str,
    *,
    signed: bool = False,
    key: Mapping[str, Any] | None = None,
) -> type[Answer]:
    """A model with the columns and ratios of a metric, which is where they are described.

    Args:
        metric_name: the metric.
        name: of the model.
        doc: what it is.
        signed: whether counts may be below 0.
        key: fields in the place of the metric's key, as ``create_model`` takes them.
    """
    metric = next(metric for metric in load_metrics() if metric.name == metric_name)
    kinds: dict[ColumnType, Any] = {
        ColumnType.DAY: Day,
        ColumnType.TEXT: str,
        ColumnType.COUNT: int if signed else Count,
        ColumnType.MONEY: Money,
    }
    fields: dict[str, Any] = {
        column.name: (kinds[column.type], Field(description=column.meaning))
        for column in metric.columns
        if key is None or column.name not in metric.key
    }
    for ratio in metric.ratios:
        meaning = f"{ratio.meaning} Rounded to 6 places; null where the divisor is 0."
        fields[ratio.name] = (Ratio | None, Field(description=meaning))
    return create_model(name, __base__=Answer, __doc__=doc, **(key or {}), **fields)


class Problem(BaseModel):
    """An error, as RFC 9457 has it (``application/problem+json``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(
        description="Kind of the problem: a stable name.", examples=["urn:guardian:not-found"]
    )
    title: str = Field(description="The kind in words.", examples=["Not found"])
    status: int = Field(ge=400, le=599, description="HTTP status.", examples=[404])
    detail: str = Field(
        description="What was wrong here, and what to do.",
        examples=["Session '42' has no anomalies; GET /anomalies lists those that have."],
    )
    instance: str = Field(description="Path of the request.", examples=["/anomalies/42"])
    errors: list[ProblemField] | None = Field(
        default=None, description="With status 422: each value that does not fit."
    )


class ProblemField(BaseModel):
    """One value of a request that does not fit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: Literal["path", "query", "header", "body"] = Field(description="Part of the request.")
    name: str = Field(description="Name of the value.", examples=["limit"])
    detail: str = Field(
        description="What does not fit.", examples=["Input should be less than or equal to 1000"]
    )


class Welcome(Answer):
    """Where to go from here."""

    name: str = Field(description="What this is.", examples=["Clickstream Guardian"])
    version: str = Field(description="Version of Guardian.", examples=["0.1.0"])
    links: dict[str, str] = Field(
        description="Path by what lies there.", examples=[{"documentation": "/docs"}]
    )


class Health(Answer):
    """The process answers."""

    status: Literal["ok"] = Field(description="Always `ok`.")


class Ready(Answer):
    """The database answers, and how fresh its content is."""

    status: Literal["ready"] = Field(description="Always `ready`; 503 otherwise.")
    newest_event_at: Instant | None = Field(description="Event time of the newest event seen.")
    last_written_at: Instant | None = Field(
        description="When the detector last saved its progress, by the database's clock."
    )
    last_written_seconds: float | None = Field(
        description="Seconds since then.", examples=[12.5], ge=0
    )


class Anomaly(Answer):
    """One session that one rule found abusive in one window."""

    anomaly_id: str = Field(
        description="32 hex digits, the same whenever it is found again.",
        examples=["0b4e7fbd3a0c9be1b52f6cf6b0f1c2d3"],
        pattern="^[0-9a-f]{32}$",
    )
    rule: RuleName
    rule_version: int = Field(description="Version of the rule.", ge=1, examples=[1])
    severity: Severity = Field(description="How bad the rule calls it.", examples=["high"])
    status: Status = Field(
        description="`open`: holds on what has come so far; `final`: held when the window closed; "
        "`withdrawn`: held once, no longer at close.",
        examples=["final"],
    )
    session_id: SessionId
    window_start: Instant = Field(description="Start of the window that fired (inclusive).")
    window_end: Instant = Field(description="Its end (exclusive).")
    measures: dict[str, int | float] = Field(
        description="Measured values by name.", examples=[{"clicks": 61}]
    )
    thresholds: dict[str, str] = Field(
        description="What the rule asks of them, in its own words.", examples=[{"clicks": ">= 50"}]
    )
    event_count: Count = Field(description="Events of the session in the window.", examples=[61])
    first_crossed_at: Instant = Field(
        description="Event time of the first event with which the condition held."
    )
    crossed_event_id: str = Field(
        description="Id of that event, in hex.", examples=["5f2f9d7f4f1c4c57a1c1a5f7d1f3a0be"]
    )
    explanation: str = Field(
        description="The reason in words.", examples=["61 clicks in 10 seconds"]
    )
    detected_at: Instant = Field(description="When it was first written, by the database's clock.")
    updated_at: Instant = Field(description="When it last changed.")
    change_id: int = Field(
        description="Grows with every change of any anomaly; the stream resumes by it.",
        ge=0,
        examples=[4711],
    )


class Sample(Answer):
    """The first events of the session in the window: parallel lists, in time order."""

    occurred_at: list[Instant] = Field(description="Event times.")
    item_id: list[str] = Field(description="Items.", examples=[["214536502", "214536500"]])
    event_id: list[str] = Field(
        description="Event ids, in hex.", examples=[["5f2f9d7f4f1c4c57a1c1a5f7d1f3a0be"]]
    )


class AnomalyWithSample(Anomaly):
    """An anomaly and a bounded sample (at most 500) of its events."""

    sample: Sample = Field(description="Evidence: the first events of the session in the window.")


NextCursor = Annotated[
    str | None,
    Field(
        description="Give it as `cursor` for the next page; null on the last page.",
        examples=["AAT2uYcSJwALTn-9OgybW7VS9s9rDxwtMw"],
    ),
]


class AnomalyPage(Answer):
    """Anomalies, newest window first."""

    anomalies: list[Anomaly]
    next_cursor: NextCursor


class SessionAnomalies(Answer):
    """The anomalies of one session, newest window first, with evidence."""

    session_id: SessionId
    anomaly_count: Count = Field(
        description="Anomalies of the session, on all pages.", examples=[3]
    )
    anomalies: list[AnomalyWithSample]
    next_cursor: NextCursor


class SessionEvidence(Answer):
    """What one rule holds against a session."""

    rule: RuleName
    severity: Severity = Field(description="Of its newest anomaly.", examples=["high"])
    anomaly_count: Count = Field(description="Its anomalies, withdrawn left out.", examples=[3])
    explanation: str = Field(
        description="The newest one in words.", examples=["61 clicks in 10 seconds"]
    )


class SessionMoment(Answer):
    """One anomaly on a session's timeline; `/anomalies/{session_id}` has its evidence."""

    at: Instant = Field(description="Event time at which its condition first held.")
    rule: RuleName
    severity: Severity = Field(description="How bad the rule calls it.", examples=["high"])
    status: Status = Field(description="How settled it is.", examples=["final"])
    explanation: str = Field(
        description="The reason in words.", examples=["61 clicks in 10 seconds"]
    )
    anomaly_id: str = Field(description="Its id.", examples=["0b4e7fbd3a0c9be1b52f6cf6b0f1c2d3"])


VerdictName = Literal["clean", "suspect", "abusive"]
Score = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="1 - product of (1 - weight) over the different rules that count.",
        examples=[0.9],
    ),
]


class Session(Answer):
    """The verdict on a session, what it rests on, and how it came about."""

    session_id: SessionId
    verdict: VerdictName = Field(
        description="`suspect` is worth a look, `abusive` as good as certain.",
        examples=["abusive"],
    )
    score: Score
    rules: list[str] = Field(description="Rules that count.", examples=[["HIGH_FREQUENCY"]])
    first_flagged_at: Instant | None = Field(description="When the first of them first held.")
    last_flagged_at: Instant | None = Field(description="When one of them last began to hold.")
    allowed_by: str | None = Field(
        description="Why the allow-list sets it all aside; null where it does not.",
        examples=["our own price check"],
    )
    revision: int = Field(description="Grows with each change of the verdict.", ge=0, examples=[1])
    updated_at: Instant = Field(description="When it last changed, by the database's clock.")
    evidence: list[SessionEvidence] = Field(
        description="Every rule that found something, those that do not count too, by name."
    )
    timeline: list[SessionMoment] = Field(
        description="The newest 100 anomalies, oldest first, withdrawn left out."
    )


class Decision(Answer):
    """What to do about one session, and for how long."""

    session_id: SessionId
    action: Literal["challenge", "block"] = Field(
        description="`challenge` a suspect session, `block` an abusive one.", examples=["block"]
    )
    score: Score
    rules: list[str] = Field(description="Rules that count.", examples=[["HIGH_FREQUENCY"]])
    flagged_at: Instant = Field(description="When one of them last began to hold.")
    expires_at: Instant = Field(description="When the decision ends, unless flagged again.")
    time_to_live_seconds: float = Field(
        description="From `as_of` to `expires_at`.", ge=0, examples=[3212.5]
    )


class Decisions(Answer):
    """The decisions that live at a moment, newest first."""

    mode: Literal["shadow", "enforce"] = Field(
        description="`shadow`: look, do not act.", examples=["shadow"]
    )
    as_of: Instant = Field(description="The moment: as asked for, or the newest event time.")
    decisions: list[Decision]


class AnomalyType(Answer):
    """What one rule has found, withdrawn anomalies left out."""

    rule: RuleName
    anomaly_count: Count = Field(description="Anomalies of the rule.", examples=[812])
    session_count: Count = Field(description="Different sessions among them.", examples=[119])
    share_ratio: Ratio = Field(description="Share of all anomalies, 0 to 1, to 6 places.")
    first_at: Instant = Field(description="Start of its earliest window.")
    last_at: Instant = Field(description="Start of its latest window.")


class AnomalyTypes(Answer):
    """What each rule has found, most anomalies first."""

    anomaly_count: Count = Field(description="All anomalies, withdrawn left out.", examples=[1410])
    types: list[AnomalyType]


class TimelineSeries(Answer):
    """One rule's counts."""

    rule: RuleName
    counts: list[int] = Field(
        description="Anomalies whose window starts in the bucket, one number per bucket.",
        examples=[[0, 3, 1]],
    )


class Timeline(Answer):
    """Anomalies per bucket of time and rule; empty buckets are there, with zeros.

    The clock is the data's: a replay of an old day shows that day.
    """

    as_of: Instant = Field(description="The end that was asked for, or the newest event time.")
    start: Instant = Field(description="Start of the first bucket.")
    end: Instant = Field(description="End of the last bucket (exclusive), not before `as_of`.")
    bucket_seconds: int = Field(description="Length of a bucket.", ge=1, examples=[300])
    bucket_starts: list[Instant] = Field(description="Start of each bucket, aligned to the epoch.")
    totals: list[int] = Field(description="Over all rules, per bucket.", examples=[[0, 3, 1]])
    series: list[TimelineSeries] = Field(description="Per rule that found anything here, by name.")


if TYPE_CHECKING:

    class DailyMetrics(Answer):
        """One UTC day's numbers."""
else:
    DailyMetrics = metric_answer("daily_metrics", "DailyMetrics", "One UTC day's numbers.")


class DailyMetricsPage(Answer):
    """Days, newest first."""

    days: list[DailyMetrics]


Reason = Literal["allow_list", "events", "rule_version", "verdicts"]


class Restatement(Answer):
    """A day's numbers as they were before they changed, and why they did."""

    restatement_id: int = Field(description="Grows with time.", ge=1, examples=[12])
    dt: Day
    restated_at: Instant = Field(description="When they changed, by the database's clock.")
    reasons: list[Reason] = Field(
        description="`events`: rows came in; `allow_list`: a session is let through; "
        "`rule_version`: a rule of another version found something; `verdicts`: any other change "
        "of who is left out.",
        examples=[["events"]],
    )
    raw: DailyMetrics = Field(description="Of every session, as it was.")
    clean: DailyMetrics = Field(description="Without the sessions then abusive, as it was.")


class RestatementPage(Answer):
    """Restatements, newest first."""

    restatements: list[Restatement]
    next_cursor: str | None = Field(
        description="Give it as `cursor` for the next page; null on the last page.",
        examples=["12"],
    )


class MetricTotals(Answer):
    """Sums over some days; a session is counted on each day on which it has an event."""

    start_date: Day
    end_date: Day
    day_count: int = Field(description="Computed days among them.", ge=0, examples=[30])
    total_clicks: Count = Field(description="Clicks.")
    total_purchases: Count = Field(description="Purchase lines.")
    unique_sessions: Count = Field(description="Sum of the days' sessions.")
    buying_sessions: Count = Field(description="Sum of the days' buying sessions.")
    total_revenue: Money = Field(description="Known revenue.")
    conversion_rate: Ratio | None = Field(description="buying_sessions / unique_sessions.")
    avg_order_value: Decimal | None = Field(
        description="total_revenue / sessions with a priced line.", examples=["61.20"]
    )


class MetricsSummary(Answer):
    """The newest computed day beside the day before and the same weekday a week before."""

    latest: DailyMetrics | None = Field(description="Newest computed day; null without any.")
    previous_day: DailyMetrics | None = Field(description="The day before, if computed.")
    previous_week: DailyMetrics | None = Field(description="Seven days before, if computed.")
    totals: MetricTotals | None = Field(description="Sums over the last `days` days up to it.")


class FunnelStep(Answer):
    """How many sessions reached a step."""

    step: Step = Field(
        description="`VIEW`: 1 click or more; `MULTI_VIEW`: 2 or more; "
        "`PURCHASE`: a purchase at or after the second click."
    )
    sessions: Count = Field(description="Sessions that reached the step.")
    share_ratio: Ratio | None = Field(description="Share of the sessions of VIEW.")
    drop_ratio: Ratio | None = Field(description="Share of the step before that was lost.")


class Funnel(Answer):
    """One day's session funnel; a step counts only sessions that reached the one before."""

    dt: Day
    steps: list[FunnelStep] = Field(description="VIEW, MULTI_VIEW, PURCHASE, in this order.")
    direct_purchase_sessions: Count = Field(
        description="Sessions that bought without having reached MULTI_VIEW; outside the steps.",
        examples=[41],
    )


class PopularItem(Answer):
    """An item and its place."""

    rank: int = Field(description="Place, from 1.", ge=1, examples=[1])
    item_id: ItemId
    clicks: Count = Field(description="Clicks of the day.", examples=[1520])
    sessions: Count = Field(description="Sessions that clicked or bought it.", examples=[988])
    purchases: Count = Field(description="Purchase lines.", examples=[44])
    revenue: Money = Field(description="Known revenue.")


class PopularItems(Answer):
    """The day's leading items; equal ones stand in the bytewise order of their ids."""

    dt: Day
    by: Ranking = Field(description="What they are ranked by.")
    items: list[PopularItem]


class Category(Answer):
    """One category's day."""

    category: str = Field(description="`unknown` where it is missing.", examples=["S"])
    clicks: Count = Field(description="Clicks in the category.", examples=[21_400])
    sessions: Count = Field(description="Sessions that clicked or bought in it.")
    purchases: Count = Field(description="Purchase lines that belong to it.", examples=[530])
    revenue: Money = Field(description="Their known revenue.")


class Categories(Answer):
    """The day's categories; over all of them the numbers add up to the day's own."""

    dt: Day
    by: Ranking = Field(description="What they are ranked by.")
    category_count: Count = Field(description="Categories of the day.", examples=[318])
    categories: list[Category]


class TrendingItem(Answer):
    """An item that takes a greater share of the clicks than it did."""

    rank: int = Field(description="Place, from 1.", ge=1, examples=[1])
    item_id: ItemId
    clicks: Count = Field(description="Clicks of the day.", examples=[1520])
    share_ratio: Ratio = Field(description="Its share of the day's clicks.")
    baseline_clicks: Count = Field(description="Clicks of the 7 days before.", examples=[2011])
    baseline_share_ratio: Ratio = Field(description="Its share of the clicks of those 7 days.")
    change_ratio: Ratio = Field(
        description="share_ratio - baseline_share_ratio, greater than 0; the ranking goes by it."
    )
    growth_ratio: Ratio | None = Field(
        description="share_ratio / baseline_share_ratio; null for an item new in these 8 days."
    )


class TrendingItems(Answer):
    """Items whose share of the day's clicks grew most against their own previous 7 days."""

    dt: Day
    baseline_start_date: Day
    baseline_end_date: Day
    total_clicks: Count = Field(description="Clicks of the day, on all items.")
    baseline_total_clicks: Count = Field(
        description="Clicks of the computed days among the 7 before; where 0, nothing is trending."
    )
    items: list[TrendingItem]


class SourceStatus(Answer):
    """One source of events and how far it was read."""

    source: str = Field(description="Its identity.", examples=["3f0c9a5b11d2"])
    kind: str = Field(description="What it is.", examples=["clicks"])
    place: str = Field(description="Where it was found.", examples=["yoochoose-clicks.dat"])
    status: Literal["running", "finished"] = Field(description="Whether it is still read.")
    total_lines: int | None = Field(description="Lines read; null until finished.", ge=0)
    event_count: int | None = Field(description="Events; null until finished.", ge=0)
    rejected_count: int | None = Field(description="Rejected lines; null until finished.", ge=0)
    late_count: int | None = Field(description="Late events; null until finished.", ge=0)
    started_at: Instant = Field(description="When reading began, by the database's clock.")
    finished_at: Instant | None = Field(description="When it ended; null until then.")


class PositionStatus(Answer):
    """How far the detector has come in one partition."""

    group_name: str = Field(description="Which detector.", examples=["embedded"])
    source: str = Field(description="Source or topic.")
    partition: int = Field(description="Number of the partition.", ge=0, examples=[0])
    next_offset: int = Field(description="Offset of the event it reads next.", ge=0)
    newest_event_at: Instant | None = Field(description="Greatest event time seen there.")
    ended: bool = Field(description="Whether the partition was read to its end.")
    lag: int | None = Field(
        description="Events on the log it has yet to read; null where the log's end is unknown."
    )


class DetectorStatus(Answer):
    """How far live detection of one bucket (a partition number of the event topics) is."""

    group: str = Field(description="Consumer group.", examples=["guardian-detect"])
    bucket: int = Field(description="Partition number.", ge=0, examples=[0])
    owner: str = Field(description="Process that detects.", examples=["host:4711"])
    messages: Count = Field(description="Messages judged since the group began.")
    rejected_by_reason: dict[str, int] = Field(description="Messages that are no event.")
    late: Count = Field(description="Events that came too late for detection.")
    events_per_second: float = Field(description="Messages a second at present.", ge=0)
    lag: Count = Field(description="Messages on the log yet to be judged.")
    watermark_at: Instant | None = Field(description="Windows that end by then are closed.")
    state_rows: Count = Field(description="Events held because their windows are not settled.")
    step_seconds: float = Field(description="Nine steps in ten took no longer.", ge=0)
    updated_at: Instant = Field(description="When this was noted; old where nobody detects.")


class EventCounts(Answer):
    """What came in; `received = landed + rejected`, `landed = events + duplicates`."""

    received: Count = Field(description="Lines or messages read.")
    landed: int | None = Field(description="Rows in the lake; null before the first landing.")
    events: int | None = Field(description="Different events among them.")
    duplicates: int | None = Field(description="Rows that repeat an event.")
    rejected: Count = Field(description="Could not be read as events.", examples=[12])
    rejected_by_reason: dict[str, int] = Field(
        description="Rejections by reason.", examples=[{"time_out_of_range": 12}]
    )
    late: Count = Field(description="Events that came too late for detection.", examples=[3])


class Reconciliation(Answer):
    """Whether every event that came in is in the lake."""

    balanced: bool = Field(description="Whether received = landed + rejected.")
    difference: int = Field(description="received - landed - rejected.", examples=[0])
    checked_at: Instant = Field(description="When it was counted.")


class BatchRun(Answer):
    """A run of `guardian batch`."""

    ended_at: Instant = Field(description="When it ended, well or not.")
    failed: bool = Field(description="Whether it failed; `guardian doctor` says of what.")
    seconds: float | None = Field(description="How long it took.", examples=[41.7])
    day_count: int | None = Field(description="Days it has computed.", examples=[1])


class BatchStatus(Answer):
    """The daily metrics."""

    newest_dt: date | None = Field(description="Newest computed day.", examples=["2014-04-07"])
    day_count: Count = Field(description="Computed days.", examples=[183])
    last_finished_at: Instant | None = Field(description="End of the last run.")
    dirty_days: list[date] | None = Field(
        description="Days whose rows or verdicts differ from what was computed; null if unknown.",
        examples=[["2014-04-07"]],
    )
    last_run: BatchRun | None = Field(description="Of `guardian batch`; null before the first.")


class SystemStatus(Answer):
    """How Guardian itself is doing."""

    at: Instant = Field(description="Now, by the database's clock.")
    newest_event_at: Instant | None = Field(description="Event time of the newest event seen.")
    lag: int | None = Field(description="Sum of the known lags of the positions.")
    events: EventCounts
    reconciliation: Reconciliation | None = Field(description="Null before the first landing.")
    batch: BatchStatus
    positions: list[PositionStatus] = Field(description="At most 1000, by group and source.")
    detectors: list[DetectorStatus] = Field(description="Live detection, by group and bucket.")
    sources: list[SourceStatus] = Field(description="The newest 100, latest started first.")
