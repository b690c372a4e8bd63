"""Puts the API together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from clickstream_guardian import __version__
from clickstream_guardian.api import anomalies, daily, items, pages, status, verdicts
from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.context import Context
from clickstream_guardian.api.document import describe
from clickstream_guardian.api.edge import Edge
from clickstream_guardian.api.gate import Gate, KeyRing
from clickstream_guardian.api.measures import Measures
from clickstream_guardian.api.problems import handle_problems
from clickstream_guardian.api.stream import ChangeFeed
from clickstream_guardian.store.read import Reader

_DESCRIPTION = """\
Abusive sessions with reasons, and the day's business numbers. Read-only.

Errors are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem JSON. Money, ratios and means
are decimal strings; instants are RFC 3339 with `Z`; days are UTC days. Past days carry an `ETag`
and may be kept for five minutes.
"""
_TAGS = [
    {"name": "anomalies", "description": "Sessions that a rule found abusive, with evidence."},
    {"name": "verdicts", "description": "What is to be thought of a session, and done about it."},
    {"name": "daily metrics", "description": "The business numbers of each UTC day."},
    {"name": "items", "description": "Popular and trending items, categories."},
    {"name": "status", "description": "How Guardian itself is doing."},
]


def create_app(config: ApiConfig, reader: Reader | None = None) -> FastAPI:
    """An application over one database, which it opens when it starts.

    Args:
        config: see ``ApiConfig``.
        reader: instead of one made of ``config.reader``.
    """
    reader = reader or Reader(config.reader)
    feed = ChangeFeed(reader, config)
    measures = Measures(reader.use, feed)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        await reader.open()
        yield
        feed.stop()
        await reader.close()

    app = FastAPI(
        title="Clickstream Guardian",
        version=__version__,
        summary="Abusive sessions with reasons, and the day's business numbers.",
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=running,
    )
    app.state.context = Context(config, reader, measures, feed)
    rooms = (anomalies, verdicts, daily, items, status, pages)
    for router in (room.router for room in rooms):
        app.router.routes.extend(router.routes)  # flat: an included router is matched twice
    handle_problems(app)
    app.openapi = lambda: describe(app, config)  # type: ignore[method-assign]
    if config.keys_required:
        app.add_middleware(
            Gate, keys=KeyRing(reader), rate=config.requests_per_second, burst=config.burst
        )
    app.add_middleware(Edge, measures=measures)
    return app
