"""Asks the API, and says in one kind of error when it cannot answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from threading import Lock
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from clickstream_guardian.dashboard import views
from clickstream_guardian.errors import GuardianError

ViewType = TypeVar("ViewType", bound=views.View)
Value = str | int | date | datetime | None

KEEP_SECONDS = 2.0
"""How long an answer is shared between the viewers of a page, in seconds."""

_ages: ContextVar[list[int]] = ContextVar("ages")
"""Ages of the stale answers that were given to whoever notes them."""

_KEEP_AT_MOST = 128
_KEEP_BYTES = 300_000
_NOT_PATHS = frozenset({"", ".", "..", "stream", "timeline", "types"})


class ApiDownError(GuardianError):
    """Nothing answers at the API's address, or not in time."""


class ApiProblemError(GuardianError):
    """The API answered with a problem.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@contextmanager
def noting_stale_answers() -> Iterator[list[int]]:
    """Ages, in seconds, of answers given meanwhile that the API repeated from an earlier time."""
    ages: list[int] = []
    token = _ages.set(ages)
    try:
        yield ages
    finally:
        _ages.reset(token)


class Client:
    """The API's answers as views. Safe to use from several threads.

    Args:
        api_url: Base URL of the API.
        api_key: Key to send along, where the API asks for one.
        timeout_seconds: How long an answer may take.
    """

    def __init__(
        self, api_url: str, api_key: str | None = None, timeout_seconds: float = 10.0
    ) -> None:
        self.api_url = api_url.rstrip("/")
        headers = {"Accept": "application/json"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._http = httpx.Client(
            base_url=self.api_url,
            headers=headers,
            timeout=httpx.Timeout(timeout_seconds, connect=2.0),
            trust_env=False,
        )
        self._kept: dict[str, tuple[float, httpx.Response]] = {}
        self._lock = Lock()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def freshness(self) -> views.Freshness:
        """How fresh the content is."""
        return self._get(views.Freshness, "/health/ready")

    def anomalies(
        self,
        *,
        rule: str | None = None,
        severity: str | None = None,
        session_id: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> views.AnomalyPage:
        """One page of anomalies, newest window first."""
        query: dict[str, Value] = {
            "rule": rule,
            "severity": severity,
            "session_id": session_id,
            "status": status,
            "since": since,
            "until": until,
            "limit": limit,
            "cursor": cursor,
        }
        return self._get(views.AnomalyPage, "/anomalies", query)

    def session(self, session_id: str, limit: int = 100) -> views.SessionAnomalies | None:
        """The newest anomalies of a session with evidence; None where there are none.

        A few ids cannot be a path of the API (``types``, ``..``): theirs come without evidence.
        """
        if session_id in _NOT_PATHS:
            found = self.anomalies(session_id=session_id, limit=limit).anomalies
            return _without_evidence(session_id, found)
        path = f"/anomalies/{quote(session_id, safe='')}"
        return self._find(views.SessionAnomalies, path, {"limit": limit})

    def anomaly_types(self) -> views.AnomalyTypes:
        """What each rule has found."""
        return self._get(views.AnomalyTypes, "/anomalies/types")

    def timeline(self, hours: int, bucket: str, as_of: datetime | None = None) -> views.Timeline:
        """Anomalies per bucket of time and rule, over the hours up to ``as_of``."""
        query: dict[str, Value] = {"hours": hours, "bucket": bucket, "as_of": as_of}
        return self._get(views.Timeline, "/anomalies/timeline", query)

    def days(
        self,
        start: date | None = None,
        end: date | None = None,
        limit: int = 1000,
        view: str = "raw",
    ) -> tuple[views.Day, ...]:
        """Computed days in a range (inclusive), newest first, by raw or clean numbers."""
        query: dict[str, Value] = {"start_date": start, "end_date": end, "limit": limit}
        query["view"] = view
        return self._get(views.Days, "/metrics/daily", query).days

    def day_delta(self, dt: date) -> views.DayDelta | None:
        """How a day changes without abuse, by rule; None where the day is not computed."""
        return self._find(views.DayDelta, f"/metrics/daily/{dt}", {"view": "delta"})

    def restatements(
        self, start: date, end: date, limit: int = 100
    ) -> tuple[views.Restatement, ...]:
        """What numbers of a range (inclusive) were before they changed, newest change first."""
        query: dict[str, Value] = {"start_date": start, "end_date": end, "limit": limit}
        return self._get(views.Restatements, "/metrics/restatements", query).restatements

    def funnel(self, dt: date, view: str = "raw") -> views.Funnel | None:
        """A day's funnel; None where the day is not computed."""
        return self._find(views.Funnel, f"/metrics/funnel/{dt}", {"view": view})

    def funnel_delta(self, dt: date) -> views.FunnelDelta | None:
        """How a day's funnel changes without abuse, by rule."""
        return self._find(views.FunnelDelta, f"/metrics/funnel/{dt}", {"view": "delta"})

    def popular(
        self, dt: date, by: str, limit: int = 100, view: str = "raw"
    ) -> views.PopularItems | None:
        """A day's leading items by clicks, purchases or revenue."""
        query: dict[str, Value] = {"by": by, "limit": limit, "view": view}
        return self._find(views.PopularItems, f"/items/popular/{dt}", query)

    def items_delta(self, dt: date, by: str, limit: int = 20) -> views.ItemsDelta | None:
        """The items of a day that abuse lifts most."""
        query: dict[str, Value] = {"by": by, "limit": limit, "view": "delta"}
        return self._find(views.ItemsDelta, f"/items/popular/{dt}", query)

    def categories(
        self, dt: date, by: str, limit: int = 1000, view: str = "raw"
    ) -> views.Categories | None:
        """A day's categories by clicks, purchases or revenue."""
        query: dict[str, Value] = {"by": by, "limit": limit, "view": view}
        return self._find(views.Categories, f"/items/categories/{dt}", query)

    def trending(self, dt: date, limit: int = 100) -> views.TrendingItems | None:
        """Items whose share of a day's clicks grew most."""
        return self._find(views.TrendingItems, "/items/trending", {"date": dt, "limit": limit})

    def status(self) -> views.Status:
        """How Guardian itself is doing."""
        return self._get(views.Status, "/status")

    def _find(
        self, view: type[ViewType], path: str, query: Mapping[str, Value] | None = None
    ) -> ViewType | None:
        try:
            return self._get(view, path, query)
        except ApiProblemError as problem:
            if problem.status == 404:
                return None
            raise

    def _get(
        self, view: type[ViewType], path: str, query: Mapping[str, Value] | None = None
    ) -> ViewType:
        given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        body = self._fetch(path, given)
        try:
            return view.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the body"
            raise ApiProblemError(
                502,
                f"The answer of {self.api_url}{path} cannot be read at {where} "
                f"({first['msg'].lower()}): run API and dashboard of one version.",
            ) from error

    def _fetch(self, path: str, query: Mapping[str, str]) -> bytes:
        key = f"{path}?{httpx.QueryParams(query)}"
        with self._lock:
            kept = self._kept.get(key)
        if kept and time.monotonic() - kept[0] < KEEP_SECONDS:
            return _noted(kept[1])
        try:
            answer = self._http.get(path, params=query)
        except httpx.TimeoutException as error:
            raise ApiDownError(f"{self.api_url}{path} did not answer in time.") from error
        except httpx.HTTPError as error:
            raise ApiDownError(f"Nothing answers at {self.api_url} ({error}).") from error
        if answer.status_code != 200:
            raise _problem(answer)
        if len(answer.content) <= _KEEP_BYTES:
            self._keep(key, answer)
        return _noted(answer)

    def _keep(self, key: str, answer: httpx.Response) -> None:
        with self._lock:
            if len(self._kept) >= _KEEP_AT_MOST:
                self._kept.clear()
            self._kept[key] = (time.monotonic(), answer)


def _noted(answer: httpx.Response) -> bytes:
    """The body; where it is a stale one, its age is told to whoever notes them."""
    if "detail=stale" in answer.headers.get("Cache-Status", ""):
        _ages.get([]).append(int(answer.headers.get("Age", 0)))
    return answer.content


def _without_evidence(
    session_id: str, found: tuple[views.Anomaly, ...]
) -> views.SessionAnomalies | None:
    if not found:
        return None
    return views.SessionAnomalies(session_id=session_id, anomaly_count=len(found), anomalies=found)


def _text(value: Value) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def _problem(answer: httpx.Response) -> ApiProblemError:
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"{answer.request.url} answered {answer.status_code} {answer.reason_phrase}."
    return ApiProblemError(answer.status_code, detail)
