"""The psycopg connection below an SQLAlchemy one, for COPY and other things that must be fast."""

from __future__ import annotations

from typing import cast

import psycopg
from sqlalchemy import Connection


def driver_connection(connection: Connection) -> psycopg.Connection:
    """The driver's connection, inside a transaction that SQLAlchemy knows of and will commit."""
    if not connection.in_transaction():
        connection.begin()
    return cast(psycopg.Connection, connection.connection.driver_connection)
