"""Brings a database to the newest revision, once, however many processes try."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, text

from clickstream_guardian.errors import GuardianError
from clickstream_guardian.store.advisory import Lock, lock_for_transaction
from clickstream_guardian.store.driver import driver_connection

HEAD = "0011"
"""The newest revision; a test holds it equal to the newest file."""


def migrate(engine: Engine) -> None:
    """Bring the database to ``HEAD``, if it is not there already.

    Raises:
        GuardianError: the database was made by a newer Guardian.
    """
    with engine.connect() as connection:
        if current_revision(connection) == HEAD:
            return
    with engine.begin() as connection:
        lock_for_transaction(driver_connection(connection), Lock.MIGRATION)
        if current_revision(connection) != HEAD:
            _upgrade(connection)


def current_revision(connection: Connection) -> str | None:
    """The database's revision; None for one that Guardian has not seen."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _upgrade(connection: Connection) -> None:
    # imported here: it takes half a second, and a database that is up to date does without
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise GuardianError(
            f"The database is at revision {current_revision(connection)!r}, which this version "
            f"does not know (its newest is {HEAD!r}): upgrade clickstream-guardian."
        ) from error
