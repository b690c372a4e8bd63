"""Server-sent events: every new or changed anomaly, in the order of change ids.

One task asks the database for the newest change id while anybody listens; every stream then reads
the changes after its own last one, so a slow listener holds up nobody and none is missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.problems import try_later
from clickstream_guardian.store.read import BusyError, Reader, SlowQueryError, UnreachableError
from clickstream_guardian.store.read_anomalies import changes, newest_change

EVENT_STREAM = "text/event-stream"
EVENT_SCHEMA = {
    "type": "object",
    "description": "One event; blocks without data only move the place on.",
    "properties": {
        "event": {"const": "anomaly"},
        "id": {"type": "string", "description": "Its change_id.", "examples": ["4711"]},
        "data": {
            "type": "string",
            "description": "An Anomaly as JSON.",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Anomaly"},
        },
        "retry": {"type": "integer", "description": "Milliseconds until the next try."},
    },
}
_BATCH = 200
_RETRY_MILLISECONDS = 2000
_FULL_SECONDS = 5
_DATABASE_ERRORS = (BusyError, SlowQueryError, UnreachableError)


@dataclass(frozen=True)
class Wanted:
    """Which changes a listener wants; None means any."""

    rule: str | None
    severity: str | None

    def holds(self, rule: str, severity: str) -> bool:
        """Whether an anomaly of this rule and severity is wanted."""
        return self.rule in (None, rule) and self.severity in (None, severity)


class EventStream(StreamingResponse):
    """A stream whose place among the listeners is given back however it ends."""

    media_type = EVENT_STREAM

    def __init__(self, feed: ChangeFeed, after: int, wanted: Wanted) -> None:
        self._feed = feed
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(feed.events(after, wanted), headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client goes, the server stops or the stream is old enough."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._feed.leave()


class ChangeFeed:
    """Knows the newest change id, and tells listeners when it has grown."""

    def __init__(self, reader: Reader, config: ApiConfig) -> None:
        self._reader = reader
        self._config = config
        self._newest = 0
        self._listeners = 0
        self._stopped = False
        self._moved = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        """Streams open now."""
        return self._listeners

    def stop(self) -> None:
        """End every stream; nothing is sent from now on."""
        self._stopped = True
        if self._watcher is not None:
            self._watcher.cancel()
        self._moved.set()

    async def begin(self, after: int | None) -> int:
        """Take a place among the listeners: the change id from which to go on.

        Every ``begin`` needs a ``leave``. An id that this database has not given yet is one of
        another database: the stream then begins now.

        Raises:
            ApiProblem: there are as many listeners as may be.
        """
        if self._listeners >= self._config.most_streams:
            detail = f"{self._listeners} streams are open, which is all there may be; come later."
            raise try_later(detail, _FULL_SECONDS)
        self._listeners += 1
        try:
            newest = await self._reader.row(newest_change())
        except BaseException:
            self.leave()
            raise
        assert newest is not None
        self._newest = max(self._newest, newest[0])
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        return int(newest[0]) if after is None else min(after, int(newest[0]))

    def leave(self) -> None:
        """Give the place back."""
        self._listeners -= 1

    async def events(self, after: int, wanted: Wanted) -> AsyncIterator[str]:
        """The text of a stream: what changes after ``after``, until it ends."""
        ends_at = time.monotonic() + self._config.stream_seconds
        yield f"retry: {_RETRY_MILLISECONDS}\nid: {after}\n\n"
        while not self._stopped and time.monotonic() < ends_at:
            if self._newest > after:
                text, after = await self._next_batch(after, wanted)
                yield text
            elif not await self._has_moved(ends_at):
                yield ":\n\n"

    async def _next_batch(self, after: int, wanted: Wanted) -> tuple[str, int]:
        """The next changes as text, and the id of the last; a comment where it cannot be read."""
        try:
            # a listener that goes must not take a connection of the pool with it
            rows = await asyncio.shield(self._reader.rows(changes(after, _BATCH)))
        except _DATABASE_ERRORS:
            await asyncio.sleep(self._config.poll_seconds)
            return ":\n\n", after
        if not rows:  # the newest change was of a row that has changed again or is gone
            self._newest = after
            return "", after
        parts = [
            f"event: anomaly\nid: {change_id}\ndata: {text}\n\n"
            for text, change_id, rule, severity in rows
            if wanted.holds(rule, severity)
        ]
        last = rows[-1][1]
        # the place moves on over what is not wanted, so that nobody reads it twice
        return "".join(parts) or f"id: {last}\n\n", last

    async def _has_moved(self, ends_at: float) -> bool:
        """Wait for a change; False when there was silence for long enough."""
        left = min(self._config.heartbeat_seconds, max(0.0, ends_at - time.monotonic()))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._moved.wait(), left)
            return True
        return False

    async def _watch(self) -> None:
        """Ask for the newest change id while anybody listens."""
        while self._listeners and not self._stopped:
            with contextlib.suppress(*_DATABASE_ERRORS):
                newest = await self._reader.row(newest_change())
                if newest is not None and newest[0] > self._newest:
                    self._newest = newest[0]
                    moved, self._moved = self._moved, asyncio.Event()
                    moved.set()
            await asyncio.sleep(self._config.poll_seconds)
