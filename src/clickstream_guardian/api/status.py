"""Routes about Guardian itself: health, status, Prometheus."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import pydantic_core
from fastapi import APIRouter, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from clickstream_guardian.api import models
from clickstream_guardian.api.answers import json_answer
from clickstream_guardian.api.context import parts_of, reader_of
from clickstream_guardian.api.gauges import gauges
from clickstream_guardian.api.parameters import NoParameters
from clickstream_guardian.store import read_status
from clickstream_guardian.store.read import BusyError, SlowQueryError, UnreachableError
from clickstream_guardian.store.system_status import system_status

router = APIRouter(tags=["status"])

_ALIVE = b'{"status":"ok"}'


@router.get("/health", response_model=models.Health)
async def health(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
    """The process answers; nothing else is looked at."""
    return json_answer(request, _ALIVE, spared=False)


@router.get("/health/ready", response_model=models.Ready)
async def ready(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
    """The database answers, and how fresh its content is; 503 where it does not."""
    found = await reader_of(request).rows(read_status.freshness())
    return json_answer(request, found[0][0].encode(), spared=False)


@router.get("/status", response_model=models.SystemStatus)
async def status(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
    """What came in, whether it is all in the lake, how far detection and the daily numbers are."""
    found = await reader_of(request).rows(read_status.status())
    body = pydantic_core.to_json(system_status(json.loads(found[0][0])))
    return json_answer(request, body, spared=False)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Metrics.", "content": {"text/plain": {"schema": {}}}}},
)
async def prometheus(request: Request, _: Annotated[NoParameters, Query()]) -> Response:
    """What Prometheus scrapes: this process, and the state of the data."""
    today = datetime.now(UTC).date()
    try:
        rows = await reader_of(request).rows(read_status.status())
        found = gauges(system_status(json.loads(rows[0][0])), today)
    except (BusyError, SlowQueryError, UnreachableError):
        found = gauges(None, today)
    return Response(
        parts_of(request).measures.text(found),
        headers={"Cache-Control": "no-store"},
        media_type=CONTENT_TYPE_LATEST,
    )
