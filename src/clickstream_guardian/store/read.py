"""Reading for serving: a query is text and values; the reader runs it as the read-only role.

The ``read_*`` files beside this one hold the queries, one noun each. Their rows are JSON, written
by PostgreSQL: it is the fastest way to an answer, and the only place where a value gets its form
(instants in RFC 3339 with Z, decimals as text).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
import psycopg_pool
from psycopg import errors
from psycopg.rows import TupleRow
from sqlalchemy import make_url

Row = tuple[Any, ...]

SESSION_SETTINGS = {
    "default_transaction_read_only": "on",
    "timezone": "UTC",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",  # planning costs more than most queries
    "enable_seqscan": "off",  # by index, whatever the statistics of the moment say
}
"""How PostgreSQL is set for a reader's session."""
_PROBE_SECONDS = 0.2


class BusyError(Exception):
    """All connections are taken and enough callers wait already; try again in a moment."""


class UnreachableError(Exception):
    """The database does not answer."""


class SlowQueryError(Exception):
    """The statement took longer than it may."""


@dataclass(frozen=True)
class Query:
    """One SELECT with its values by name."""

    sql: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ReaderConfig:
    """How a reader connects.

    Attributes:
        url: of the read-only role, as SQLAlchemy writes it.
        connections: most connections at once.
        most_waiting: callers that may wait for a connection; the next is refused.
        wait_seconds: how long a caller waits for a connection.
        silence_seconds: a database that has said nothing to anybody for so long is asked whether it
            is there, and taken for away if it does not say so at once.
        statement_seconds: how long a statement may run.
    """

    url: str
    connections: int = 8
    most_waiting: int = 128
    wait_seconds: float = 0.8
    silence_seconds: float = 0.6
    statement_seconds: float = 5.0


class Reader:
    """A bounded pool of prepared, read-only sessions; open it in the event loop that uses it."""

    def __init__(self, config: ReaderConfig) -> None:
        self.config = config
        self._lent = 0
        self._heard_at = -math.inf
        self._probe: asyncio.Future[None] | None = None
        self._url = (
            make_url(config.url).set(drivername="postgresql").render_as_string(hide_password=False)
        )
        self._pool = psycopg_pool.AsyncConnectionPool(
            self._url,
            min_size=min(2, config.connections),
            max_size=config.connections,
            max_waiting=config.most_waiting,
            timeout=config.wait_seconds,
            kwargs={
                "autocommit": True,
                "prepare_threshold": 0,
                "connect_timeout": 5,
                "application_name": "guardian-api",
            },
            configure=self._prepare_session,
            reconnect_timeout=10.0,
            open=False,
        )

    async def open(self) -> None:
        """Connect, or try for a short while; an absent database shows at the first query."""
        await self._pool.open(wait=False)
        with suppress(psycopg_pool.PoolTimeout):
            async with self._pool.connection(timeout=3 * self.config.wait_seconds):
                pass

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close(timeout=2.0)

    async def rows(self, query: Query) -> list[Row]:
        """The rows of a query.

        Raises:
            BusyError: no connection became free in time.
            UnreachableError: the database does not answer.
            SlowQueryError: it took longer than ``statement_seconds``.
        """
        asked = asyncio.ensure_future(self._rows(query))
        asked.add_done_callback(_look_at)
        try:
            while not asked.done():
                await asyncio.wait((asked,), timeout=self.config.silence_seconds)
                if not asked.done() and not await self._answers():
                    # Not cancelled: that would wait for the database too. It ends when that does.
                    raise UnreachableError("it has been silent for too long")
        except asyncio.CancelledError:
            asked.cancel()
            raise
        return asked.result()

    async def _rows(self, query: Query) -> list[Row]:
        try:
            async with self._pool.connection() as connection:
                self._lent += 1
                try:
                    cursor = await connection.execute(query.sql, query.values, prepare=True)
                    found = await cursor.fetchall()
                finally:
                    self._lent -= 1
            self._heard_at = time.monotonic()
            return found
        except psycopg_pool.TooManyRequests as error:
            raise BusyError from error
        except psycopg_pool.PoolTimeout as error:
            if self._lent and self._heard_lately():
                raise BusyError from error
            raise UnreachableError("no connection could be made in time") from error
        except errors.QueryCanceled as error:
            raise SlowQueryError from error
        except (psycopg.OperationalError, psycopg_pool.PoolClosed) as error:
            raise UnreachableError(str(error)) from error

    async def row(self, query: Query) -> Row | None:
        """The only row of a query, or None; raises as ``rows`` does."""
        found = await self.rows(query)
        return found[0] if found else None

    def use(self) -> Mapping[str, int]:
        """How the pool is used: connections open, idle, and callers waiting."""
        stats = self._pool.get_stats()
        return {
            "open": stats.get("pool_size", 0),
            "idle": stats.get("pool_available", 0),
            "waiting": stats.get("requests_waiting", 0),
        }

    def _heard_lately(self) -> bool:
        return time.monotonic() - self._heard_at < self.config.silence_seconds

    async def _answers(self) -> bool:
        """Whether the database has answered anybody lately, or does when it is asked."""
        if self._heard_lately():
            return True
        if self._probe is None or self._probe.done():
            self._probe = asyncio.ensure_future(self._greet())
            self._probe.add_done_callback(_look_at)
        await asyncio.wait((self._probe,), timeout=_PROBE_SECONDS)
        return self._heard_lately()

    async def _greet(self) -> None:
        """A connection of its own, since those of the pool may all be waiting."""
        connection = await psycopg.AsyncConnection.connect(
            self._url, connect_timeout=5, application_name="guardian-api"
        )
        await connection.close()
        self._heard_at = time.monotonic()

    async def _prepare_session(self, connection: psycopg.AsyncConnection[TupleRow]) -> None:
        """Settings of a session, by SET: a pooler between refuses them as start options."""
        timeout = {"statement_timeout": f"{round(self.config.statement_seconds * 1000)}ms"}
        for name, value in (SESSION_SETTINGS | timeout).items():
            await connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        self._heard_at = time.monotonic()


def _look_at(done: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not done.cancelled():
        done.exception()


def instant(expression: str) -> str:
    """SQL that writes an instant in RFC 3339 with microseconds and Z."""
    return f"""to_char({expression}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def ratio(expression: str) -> str:
    """SQL that writes a ratio or a mean as text, rounded to 6 places."""
    return f"round({expression}, 6)::text"
