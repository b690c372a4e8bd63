"""Routes over the daily metrics and the funnel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from clickstream_guardian.api import deltas, models
from clickstream_guardian.api.answers import Holds, json_answer, json_list
from clickstream_guardian.api.context import reader_of
from clickstream_guardian.api.parameters import (
    DayPath,
    DaysParameters,
    RestatementParameters,
    SummaryParameters,
    ViewParameters,
)
from clickstream_guardian.api.problems import ApiProblem, not_found
from clickstream_guardian.store import read_clean, read_metrics, read_restatements
from clickstream_guardian.store.read import Query as ReadQuery

router = APIRouter(prefix="/metrics", tags=["daily metrics"])


@router.get("/daily", response_model=models.DailyMetricsPage | deltas.DailyDeltaPage)
async def days(request: Request, asked: Annotated[DaysParameters, Query()]) -> Response:
    """Computed days of a range, newest first."""
    query = read_metrics.days(asked.start_date, asked.end_date, asked.limit, asked.view)
    rows = await reader_of(request).rows(query)
    return json_answer(request, f'{{"days":{json_list(row[0] for row in rows)}}}'.encode())


@router.get("/daily/{date}", response_model=models.DailyMetrics | deltas.DailyDelta)
async def day(request: Request, dt: DayPath, asked: Annotated[ViewParameters, Query()]) -> Response:
    """One day's numbers; a delta also by the rules that make it."""
    found = await reader_of(request).row(read_metrics.day(dt, asked.view))
    if found is None:
        raise not_computed(str(dt))
    text, is_past = found
    if asked.view == "delta":
        text = await _with_rules(request, text, read_clean.day_by_rule(dt))
    return json_answer(request, text.encode(), Holds.PAST if is_past else Holds.NOW)


@router.get("/funnel/{date}", response_model=models.Funnel | deltas.FunnelDelta)
async def funnel(
    request: Request, dt: DayPath, asked: Annotated[ViewParameters, Query()]
) -> Response:
    """One day's session funnel; a delta also by the rules that make it."""
    rows = await reader_of(request).rows(read_metrics.funnel(dt, asked.view))
    if not rows:
        raise not_computed(str(dt))
    steps = json_list(text for text, step, _sessions, _past in rows if step != "DIRECT_PURCHASE")
    direct = sum(sessions for _text, step, sessions, _past in rows if step == "DIRECT_PURCHASE")
    body = f'{{"dt":"{dt}","steps":{steps},"direct_purchase_sessions":{direct}}}'
    if asked.view == "delta":
        body = await _with_rules(request, body, read_clean.funnel_by_rule(dt))
    return json_answer(request, body.encode(), Holds.PAST if rows[0][3] else Holds.NOW)


@router.get("/summary", response_model=models.MetricsSummary | deltas.MetricsSummaryDelta)
async def summary(request: Request, asked: Annotated[SummaryParameters, Query()]) -> Response:
    """The newest computed day beside the day before and the week before, and sums."""
    compared = await reader_of(request).rows(read_metrics.compared(asked.view))
    by_age = {days_before: text for text, days_before in compared}
    totals = await reader_of(request).row(read_metrics.totals(asked.days, asked.view))
    body = (
        f'{{"latest":{by_age.get(0, "null")},"previous_day":{by_age.get(1, "null")},'
        f'"previous_week":{by_age.get(7, "null")},"totals":{totals[0] if totals else "null"}}}'
    )
    return json_answer(request, body.encode())


@router.get("/restatements", response_model=models.RestatementPage)
async def restatements(
    request: Request, asked: Annotated[RestatementParameters, Query()]
) -> Response:
    """What days' numbers were before they changed, and why they did, newest first.

    What they are now is the next restatement of the day, or the day itself.
    """
    before = None if asked.cursor is None else int(asked.cursor)
    rows = await reader_of(request).rows(  # one more tells of a next page
        read_restatements.page(asked.start_date, asked.end_date, asked.limit + 1, before)
    )
    following = f'"{rows[asked.limit - 1][1]}"' if len(rows) > asked.limit else "null"
    found = json_list(row[0] for row in rows[: asked.limit])
    return json_answer(request, f'{{"restatements":{found},"next_cursor":{following}}}'.encode())


async def _with_rules(request: Request, body: str, query: ReadQuery) -> str:
    """A JSON object with what each rule changes added to it."""
    rows = await reader_of(request).rows(query)
    return f'{body[:-1]},"by_rule":{json_list(row[0] for row in rows)}}}'


def not_computed(dt: str) -> ApiProblem:
    """The day has no numbers."""
    return not_found(f"The day {dt} is not computed; GET /metrics/daily lists those that are.")
