"""Routes over items and categories."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi import Query as Asked

from clickstream_guardian.api import deltas, models
from clickstream_guardian.api.answers import Holds, json_answer
from clickstream_guardian.api.context import reader_of
from clickstream_guardian.api.daily import not_computed
from clickstream_guardian.api.parameters import (
    CategoriesParameters,
    DayPath,
    PopularParameters,
    TrendingParameters,
)
from clickstream_guardian.api.trending import NoDayError, trending_json
from clickstream_guardian.store import read_items
from clickstream_guardian.store.read import Query, Reader

router = APIRouter(prefix="/items", tags=["items"])


@router.get(
    "/popular/{date}", response_model=models.PopularItems | deltas.CleanItems | deltas.ItemsDelta
)
async def popular(
    request: Request, dt: DayPath, asked: Annotated[PopularParameters, Asked()]
) -> Response:
    """The day's leading items by clicks, purchases or revenue.

    Among clean numbers `robust_rank` is the place by distinct clean sessions, each counted once
    whatever it did. A delta lists the items that change most, and what each rule takes off.
    """
    reader = reader_of(request)
    if asked.view != "raw":
        found = await _of_day(
            reader, read_items.popular_in(asked.view, dt, asked.by, asked.limit), dt
        )
        body = f'{{"dt":"{dt}","by":"{asked.by}","items":{found.json}}}'
        return json_answer(request, body.encode(), found.holds)
    found = await _of_day(reader, read_items.popular(dt, asked.by, asked.limit), dt)
    if found.count < asked.limit and asked.by == "clicks":
        whole = read_items.popular(dt, asked.by, asked.limit, tail=True)
        found = await _of_day(reader, whole, dt)
    body = f'{{"dt":"{dt}","by":"{asked.by}","items":{found.json}}}'
    return json_answer(request, body.encode(), found.holds)


@router.get("/categories/{date}", response_model=models.Categories | deltas.CategoriesDelta)
async def categories(
    request: Request, dt: DayPath, asked: Annotated[CategoriesParameters, Asked()]
) -> Response:
    """The day's categories by clicks, purchases or revenue."""
    reader = reader_of(request)
    query = read_items.categories(dt, asked.by, asked.limit, asked.view)
    found = await _of_day(reader, query, dt)
    count = found.count
    if count == asked.limit:
        count = (await reader.rows(read_items.count_of_categories(dt, asked.view)))[0][0]
    body = f'{{"dt":"{dt}","by":"{asked.by}","category_count":{count},"categories":{found.json}}}'
    return json_answer(request, body.encode(), found.holds)


@router.get("/trending", response_model=models.TrendingItems)
async def trending(request: Request, asked: Annotated[TrendingParameters, Asked()]) -> Response:
    """Items whose share of the day's clicks grew most against their own previous 7 days.

    `change_ratio = clicks / total_clicks - baseline_clicks / baseline_total_clicks`, where the
    baseline is the 7 days before (those of them that are computed); only items that grew, most
    growth first, equal ones in the bytewise order of their ids.
    """
    try:
        body = await trending_json(reader_of(request), asked.day, asked.limit)
    except NoDayError as error:
        raise not_computed(str(error)) from error
    return json_answer(request, body)


@dataclass(frozen=True)
class _OfDay:
    json: str
    count: int
    holds: Holds


async def _of_day(reader: Reader, query: Query, dt: date) -> _OfDay:
    """What a query found for a day that is computed."""
    computed, is_past, text, count = (await reader.rows(query))[0]
    if not computed:
        raise not_computed(str(dt))
    return _OfDay(text, count, Holds.PAST if is_past else Holds.NOW)
