"""What a request may say: every value bounded, every unknown name refused."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from clickstream_guardian.api.models import Ranking, Severity, Status
from clickstream_guardian.store.read_anomalies import After, Filters
from clickstream_guardian.store.read_clean import View

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(3, 1, 1, tzinfo=UTC)
_LATEST = datetime(9998, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d([Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d))?", re.ASCII
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NO_NUL = "^[^\\x00]*$"


def _as_instant(value: Any) -> Any:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("write an instant as 2014-04-07T10:00:00Z, or a day as 2014-04-07")
    found = datetime.fromisoformat(value.upper())
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _as_day(value: Any) -> Any:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("write a day as 2014-04-07")
    return date.fromisoformat(value)


InstantText = Annotated[
    datetime,
    BeforeValidator(_as_instant),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "format": "date"},
            ],
            "examples": ["2014-04-07T10:00:00Z", "2014-04-07"],
        }
    ),
]
DayText = Annotated[
    date,
    BeforeValidator(_as_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2014-04-07"]}),
]
Cursor = Annotated[
    str,
    Field(
        pattern="^[A-Za-z0-9_-]{32}$",
        description="`next_cursor` of the page before; later arrivals do not move it.",
    ),
]
_Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_NUL)]
_Session = Annotated[str, Field(min_length=1, max_length=512, pattern=_NO_NUL)]
SessionPath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=512,
        pattern=_NO_NUL,
        description="Session id, any text, slashes included.",
        examples=["11562157"],
    ),
]
DayPath = Annotated[DayText, Path(alias="date", description="UTC day, `YYYY-MM-DD`.")]


class Parameters(BaseModel):
    """What all sets of parameters share."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoParameters(Parameters):
    """None at all."""


class ViewParameters(Parameters):
    """Which numbers."""

    view: View = Field(
        "raw",
        description="`raw`, of every session; `clean`, without abusive sessions; or `delta`, "
        "clean minus raw.",
    )


class AnomalyParameters(Parameters):
    """Which anomalies, and which page of them."""

    rule: _Name | None = Field(None, description="Only this rule.", examples=["HIGH_FREQUENCY"])
    anomaly_type: _Name | None = Field(None, description="Another name for `rule`.")
    severity: Severity | None = Field(None, description="Only this severity.")
    session_id: _Session | None = Field(
        None, description="Only this session; works for every id there is."
    )
    status: Status | None = Field(
        None, description="Only this status; without it all but withdrawn ones."
    )
    since: InstantText | None = Field(None, description="Windows that start at or after it.")
    until: InstantText | None = Field(None, description="Windows that start before it.")
    limit: int = Field(50, ge=1, le=1000, description="Most anomalies on the page.")
    cursor: Cursor | None = None

    @property
    def filters(self) -> Filters | None:
        """The same for the read model; None where two names of the rule contradict each other."""
        if self.rule and self.anomaly_type and self.rule != self.anomaly_type:
            return None
        return Filters(
            self.rule or self.anomaly_type,
            self.severity,
            self.session_id,
            self.status,
            self.since,
            self.until,
        )


class SessionParameters(Parameters):
    """Which page of a session's anomalies."""

    limit: int = Field(20, ge=1, le=100, description="Most anomalies on the page.")
    cursor: Cursor | None = None


class DecisionParameters(Parameters):
    """Which decisions, and in what form."""

    action: Literal["challenge", "block"] | None = Field(None, description="Only this action.")
    as_of: InstantText | None = Field(
        None, description="The moment; the newest event time without it."
    )
    format: Literal["json", "list"] | None = Field(
        None,
        description="`list` is plain text, a session id per line; without it `Accept` decides.",
    )
    limit: int = Field(1000, ge=1, le=10_000, description="Most decisions; the newest are kept.")


Bucket = Literal["10s", "30s", "1m", "5m", "15m", "30m", "1h", "6h", "1d"]
BUCKET_SECONDS: dict[str, int] = {
    **{"10s": 10, "30s": 30, "1m": 60, "5m": 300, "15m": 900, "30m": 1800},
    **{"1h": 3600, "6h": 21600, "1d": 86400},
}
MOST_BUCKETS = 3000


class TimelineParameters(Parameters):
    """Which stretch of time, and how fine."""

    hours: int = Field(24, ge=1, le=8784, description="Hours up to `as_of`.")
    bucket: Bucket = Field(
        "5m",
        description=f"Length of a bucket; where there would be more than {MOST_BUCKETS} it is the "
        "next longer one, and `bucket_seconds` says which.",
    )
    as_of: InstantText | None = Field(
        None, description="End of the stretch; the newest event time without it."
    )


class StreamParameters(Parameters):
    """Which changes."""

    rule: _Name | None = Field(None, description="Only this rule.")
    severity: Severity | None = Field(None, description="Only this severity.")


class DaysParameters(ViewParameters):
    """Which days."""

    start_date: DayText | None = Field(None, description="First day, inclusive.")
    end_date: DayText | None = Field(None, description="Last day, inclusive.")
    limit: int = Field(31, ge=1, le=1000, description="Most days; the newest are kept.")


class RestatementParameters(Parameters):
    """Restatements of which days, and which page of them."""

    start_date: DayText | None = Field(None, description="First day, inclusive.")
    end_date: DayText | None = Field(None, description="Last day, inclusive.")
    limit: int = Field(50, ge=1, le=1000, description="Most restatements on the page.")
    cursor: str | None = Field(
        None,
        pattern="^[0-9]{1,18}$",
        description="`next_cursor` of the page before; later restatements do not move it.",
    )


class SummaryParameters(ViewParameters):
    """How many days to sum."""

    days: int = Field(30, ge=1, le=366, description="Days that `totals` sums.")


class PopularParameters(ViewParameters):
    """Which ranking."""

    by: Ranking = Field("clicks", description="What to rank by.")
    limit: int = Field(20, ge=1, le=100, description="Most items.")


class CategoriesParameters(ViewParameters):
    """Which ranking."""

    by: Ranking = Field("clicks", description="What to rank by.")
    limit: int = Field(100, ge=1, le=1000, description="Most categories.")


class TrendingParameters(Parameters):
    """Which day, how many items."""

    day: DayText | None = Field(
        None, alias="date", description="UTC day; the newest computed one without it."
    )
    limit: int = Field(20, ge=1, le=100, description="Most items.")


def write_cursor(window_start: datetime, anomaly_id: str) -> str:
    """A place in the list as opaque text: microseconds and id, in base64."""
    microseconds = (window_start - EPOCH) // timedelta(microseconds=1)
    packed = microseconds.to_bytes(8, "big", signed=True) + bytes.fromhex(anomaly_id)
    return urlsafe_b64encode(packed).decode()


def read_cursor(cursor: str | None) -> After | None:
    """The place that a cursor stands for; an instant out of range is the nearest one in it."""
    if cursor is None:
        return None
    packed = urlsafe_b64decode(cursor)
    microseconds = int.from_bytes(packed[:8], "big", signed=True)
    bounds = [(at - EPOCH) // timedelta(microseconds=1) for at in (_EARLIEST, _LATEST)]
    clamped = min(max(microseconds, bounds[0]), bounds[1])
    return After(EPOCH + timedelta(microseconds=clamped), packed[8:].hex())


def epoch_seconds(at: datetime) -> int:
    """Whole seconds since 1970, rounded down; the ends of the calendar are kept years away."""
    return int((within_calendar(at) - EPOCH).total_seconds() // 1)


def within_calendar(at: datetime) -> datetime:
    """The instant, or the nearest one that lies years away from the ends of the calendar."""
    return min(max(at, _EARLIEST), _LATEST)
