"""The reader role: what serves people and machines may read the serving tables, nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import URL, Connection

from clickstream_guardian.store.advisory import Lock, lock_for_transaction
from clickstream_guardian.store.driver import driver_connection
from clickstream_guardian.store.embedded import READER_ROLE
from clickstream_guardian.store.passwords import ensure_secret
from clickstream_guardian.store.tables import SERVING_TABLES


def grant_reader(connection: Connection, role: str = READER_ROLE) -> None:
    """Let the role read the serving tables; granted once, looked up every time."""
    driver = driver_connection(connection)
    if _not_granted(driver, role):
        lock_for_transaction(driver, Lock.MIGRATION)  # two grants at once disturb each other
        tables = sql.SQL(", ").join(map(sql.Identifier, _not_granted(driver, role)))
        driver.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(tables, sql.Identifier(role)))


def _not_granted(driver: psycopg.Connection, role: str) -> list[str]:
    found = driver.execute(
        "SELECT name FROM unnest(%s::text[]) AS name "
        "WHERE NOT has_table_privilege(%s, name, 'SELECT')",
        (list(SERVING_TABLES), role),
    )
    return [name for (name,) in found]


def ensure_reader(connection: Connection, url: URL, secrets: Path) -> URL | None:
    """The reader's URL of a database that is not ours, making the role if we may.

    The role belongs to the whole server, so its password is never changed: where it exists and
    this home does not know the password, the answer is None, as where it may not be made.

    Args:
        connection: as the owner of the tables, in a transaction.
        url: the owner's URL.
        secrets: folder of the home's secrets.
    """
    driver = driver_connection(connection)
    server = f"{url.host}:{url.port}:{url.query.get('host')}"
    secret = secrets / f"reader-{hashlib.sha256(server.encode()).hexdigest()[:12]}"
    if not _one(driver, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)", READER_ROLE):
        if not _one(driver, _MAY_MAKE_ROLES):
            return None
        secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_role(driver, ensure_secret(secret))
    if not secret.exists():
        return None
    grant_reader(connection)
    return url.set(username=READER_ROLE, password=ensure_secret(secret))


def owner_reading_only(url: URL) -> URL:
    """The owner's URL in sessions that refuse to write: the fallback without a reader role."""
    return url.update_query_dict({"options": "-cdefault_transaction_read_only=on"})


def _make_role(driver: psycopg.Connection, password: str) -> None:
    role = sql.Identifier(READER_ROLE)
    driver.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password)))
    driver.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(role))


def _one(driver: psycopg.Connection, statement: LiteralString, *values: object) -> object:
    found = driver.execute(statement, values).fetchone()
    return None if found is None else found[0]


_MAY_MAKE_ROLES = "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
