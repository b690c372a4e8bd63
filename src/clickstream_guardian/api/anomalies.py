"""Routes over anomalies."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from clickstream_guardian.api import models
from clickstream_guardian.api.answers import json_answer, json_list
from clickstream_guardian.api.context import parts_of, reader_of
from clickstream_guardian.api.parameters import (
    BUCKET_SECONDS,
    AnomalyParameters,
    NoParameters,
    SessionParameters,
    SessionPath,
    StreamParameters,
    TimelineParameters,
    epoch_seconds,
    read_cursor,
    write_cursor,
)
from clickstream_guardian.api.problems import not_found
from clickstream_guardian.api.stream import EVENT_SCHEMA, EVENT_STREAM, EventStream, Wanted
from clickstream_guardian.api.timeline import Stretch, instant, timeline_json
from clickstream_guardian.store import read_anomalies, read_status
from clickstream_guardian.store.read import Reader
from clickstream_guardian.store.read_anomalies import Filters

router = APIRouter(prefix="/anomalies", tags=["anomalies"])


@router.get("", response_model=models.AnomalyPage)
async def anomalies(request: Request, asked: Annotated[AnomalyParameters, Query()]) -> Response:
    """Anomalies, newest window first.

    Go on with `next_cursor` as `cursor`: what arrives meanwhile neither repeats nor hides a row.
    """
    if (filters := asked.filters) is None:
        return json_answer(request, b'{"anomalies":[],"next_cursor":null}')
    found, following = await _page(reader_of(request), filters, asked.limit, asked.cursor)
    return json_answer(request, f'{{"anomalies":{found},"next_cursor":{following}}}'.encode())


@router.get("/types", response_model=models.AnomalyTypes)
async def types(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
    """What each rule has found so far."""
    rows = await reader_of(request).rows(read_anomalies.types())
    total = sum(row[1] for row in rows)
    found = json_list(row[0] for row in rows)
    return json_answer(request, f'{{"anomaly_count":{total},"types":{found}}}'.encode())


@router.get("/timeline", response_model=models.Timeline)
async def timeline(request: Request, asked: Annotated[TimelineParameters, Query()]) -> Response:
    """Anomalies per bucket of time and rule, empty buckets included."""
    as_of = epoch_seconds(asked.as_of or await newest_event(reader_of(request)))
    stretch = Stretch.up_to(as_of, asked.hours, BUCKET_SECONDS[asked.bucket])
    rows = await reader_of(request).rows(
        read_anomalies.timeline(instant(stretch.start), instant(stretch.end), stretch.bucket)
    )
    return json_answer(request, timeline_json(as_of, stretch, rows))


@router.get(
    "/stream",
    response_class=EventStream,
    status_code=200,
    responses={
        200: {
            "description": "Events `anomaly`.",
            "content": {EVENT_STREAM: {"schema": EVENT_SCHEMA}},
        }
    },
)
async def stream(
    request: Request,
    asked: Annotated[StreamParameters, Query()],
    last_event_id: Annotated[
        str | None,
        Header(
            pattern="^[0-9]{1,18}$",
            description="Change id of the last event that came; `0` sends everything there is. "
            "Without it the stream begins now.",
        ),
    ] = None,
) -> Response:
    """Each new or changed anomaly as a server-sent event, withdrawals included."""
    feed = parts_of(request).feed
    after = await feed.begin(None if last_event_id is None else int(last_event_id))
    return EventStream(feed, after, Wanted(asked.rule, asked.severity))


@router.get("/{session_id:path}", response_model=models.SessionAnomalies)
async def session(
    request: Request,
    session_id: SessionPath,
    asked: Annotated[SessionParameters, Query()],
) -> Response:
    """One session's anomalies with evidence, newest window first.

    For the ids `types`, `timeline` and `stream` ask `/anomalies?session_id=`.
    """
    counted = await reader_of(request).row(read_anomalies.count_of_session(session_id))
    if counted is None or not counted[0]:
        raise not_found(
            f"Session {session_id!r} has no anomalies; GET /anomalies lists those that have."
        )
    filters = Filters(session_id=session_id)
    found, following = await _page(
        reader_of(request), filters, asked.limit, asked.cursor, sample=True
    )
    body = (
        f'{{"session_id":{json.dumps(session_id)},"anomaly_count":{counted[0]},'
        f'"anomalies":{found},"next_cursor":{following}}}'
    )
    return json_answer(request, body.encode())


async def _page(
    reader: Reader, filters: Filters, limit: int, cursor: str | None, *, sample: bool = False
) -> tuple[str, str]:
    """A page as JSON, and the cursor of the next one as JSON."""
    after = read_cursor(cursor)
    rows = await reader.rows(
        read_anomalies.page(filters, limit + 1, after, sample=sample)  # one more tells of a next
    )
    found = json_list(row[0] for row in rows[:limit])
    if len(rows) <= limit:
        return found, "null"
    last = json.loads(rows[limit - 1][0])
    window_start = datetime.fromisoformat(last["window_start"])
    return found, f'"{write_cursor(window_start, last["anomaly_id"])}"'


async def newest_event(reader: Reader) -> datetime:
    """The data's clock; where there is no data, now."""
    found = await reader.row(read_status.newest_event())
    return found[0] if found and found[0] else datetime.now(UTC)
