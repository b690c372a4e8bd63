"""Reading for serving: a query is text and values; the reader runs it as the read-only role.

The ``read_*`` files beside this one hold the queries, one noun each. Their rows are JSON, written
by PostgreSQL: it is the fastest way to an answer, and the only place where a value gets its form
(instants in RFC 3339 with Z, decimals as text).
"""

from __future__ import annotations

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
        wait_seconds: how long a caller waits.
        statement_seconds: how long a statement may run.
    """

    url: str
    connections: int = 8
    most_waiting: int = 128
    wait_seconds: float = 0.8
    statement_seconds: float = 5.0


class Reader:
    """A bounded pool of prepared, read-only sessions; open it in the event loop that uses it."""

    def __init__(self, config: ReaderConfig) -> None:
        self.config = config
        self._lent = 0
        self._pool = psycopg_pool.AsyncConnectionPool(
            make_url(config.url).set(drivername="postgresql").render_as_string(hide_password=False),
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
        try:
            async with self._pool.connection() as connection:
                self._lent += 1
                try:
                    cursor = await connection.execute(query.sql, query.values, prepare=True)
                    return await cursor.fetchall()
                finally:
                    self._lent -= 1
        except psycopg_pool.TooManyRequests as error:
            raise BusyError from error
        except psycopg_pool.PoolTimeout as error:
            if self._lent:
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

    async def _prepare_session(self, connection: psycopg.AsyncConnection[TupleRow]) -> None:
        """Settings of a session, by SET: a pooler between refuses them as start options."""
        timeout = {"statement_timeout": f"{round(self.config.statement_seconds * 1000)}ms"}
        for name, value in (SESSION_SETTINGS | timeout).items():
            await connection.execute("SELECT set_config(%s, %s, false)", (name, value))


def instant(expression: str) -> str:
    """SQL that writes an instant in RFC 3339 with microseconds and Z."""
    return f"""to_char({expression}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def ratio(expression: str) -> str:
    """SQL that writes a ratio or a mean as text, rounded to 6 places."""
    return f"round({expression}, 6)::text"
