"""Opens the serving database: the one DATABASE_URL names, else the home's embedded one."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from clickstream_guardian.errors import UsageError
from clickstream_guardian.settings import Settings
from clickstream_guardian.store.embedded import EmbeddedServer, start_server
from clickstream_guardian.store.faults import clear_errors
from clickstream_guardian.store.migrate import migrate
from clickstream_guardian.store.roles import ensure_reader, grant_reader, owner_reading_only

_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2")


class Store:
    """An open, migrated serving database; close it, or use it in a ``with``.

    Attributes:
        engine: connections of the owner role.
        catalog_uri: URL for the lake's catalog, with the password.
        reader_url: URL of the role that may only read the serving tables, with the password.
        reader_note: one sentence when ``reader_url`` has to use the owner role; else None.
        place: the database for a person, without the password.
    """

    def __init__(
        self,
        url: URL,
        reader_url: URL | None,
        secrets: Path,
        server: EmbeddedServer | None = None,
    ) -> None:
        """Connect and migrate; use ``open_store``."""
        self._server = server
        self._folder = server.place.folder if server else None
        self.place = str(self._folder) if self._folder else url.render_as_string()
        self.engine = _engine(url)
        self.catalog_uri = written(url)
        self.reader_note: str | None = None
        with clear_errors(self.place, self._folder):
            migrate(self.engine)
            reader = self._reader(url, reader_url, secrets)
        self.reader_url = written(reader)

    def _reader(self, url: URL, reader_url: URL | None, secrets: Path) -> URL:
        with self.engine.begin() as connection:
            if reader_url is not None:
                grant_reader(connection, str(reader_url.username))
                return reader_url
            found = ensure_reader(connection, url, secrets)
        if found is None:
            self.reader_note = (
                f"The user {url.username!r} of {self.place} may not make the role guardian_reader: "
                "reads use the owner in read-only sessions; make the role and set "
                "GUARDIAN_DATABASE_READER_URL to separate them."
            )
            return owner_reading_only(url)
        return found

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on an error.

        Raises:
            GuardianError: the disk is full or the database is gone, in one sentence.
        """
        with clear_errors(self.place, self._folder), self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections; stop the embedded server if nobody else uses it."""
        self.engine.dispose()
        if self._server is not None:
            self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(settings: Settings) -> Store:
    """Open the database, start it if it is the embedded one, and bring it to the newest revision.

    Raises:
        UsageError: DATABASE_URL is no PostgreSQL URL.
        GuardianError: the database cannot be started, reached or migrated.
    """
    secrets = settings.home_path / "secrets"
    reader = settings.database_reader_url
    if settings.database_url is not None:
        return Store(
            _url("DATABASE_URL", settings.database_url.get_secret_value()),
            _url("GUARDIAN_DATABASE_READER_URL", reader.get_secret_value()) if reader else None,
            secrets,
        )
    if not (settings.home_path / "postgres" / "data").exists():
        # a first start migrates: what that needs is loaded while initdb works
        threading.Thread(target=import_module, args=("alembic.command",), daemon=True).start()
    server = start_server(settings.home_path)
    try:
        return Store(make_url(server.owner_url), make_url(server.reader_url), secrets, server)
    except BaseException:
        server.close()
        raise


def _url(setting: str, value: str) -> URL:
    try:
        url = make_url(value)
    except ArgumentError as error:
        raise UsageError(
            f"{setting} is no database URL: give postgresql://user:password@host/database."
        ) from error
    if url.drivername not in _SCHEMES:
        raise UsageError(
            f"{setting} names {url.drivername!r}, and only PostgreSQL is served: "
            "give postgresql://user:password@host/database."
        )
    return url.set(drivername="postgresql+psycopg")


def written(url: URL) -> str:
    """The URL as text that both SQLAlchemy and libpq read: libpq takes no ``+`` for a space."""
    address, mark, query = url.render_as_string(hide_password=False).partition("?")
    return address + mark + query.replace("+", "%20")


def _engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_pre_ping=True,
        use_native_hstore=False,
        connect_args={"connect_timeout": 10, "application_name": "guardian"},
    )
    event.listen(engine, "connect", _prepare_session)
    return engine


def _prepare_session(connection: Any, _record: object) -> None:
    """Instants come back in UTC, and a killed client's statement ends by itself."""
    connection.execute("SET TIME ZONE 'UTC'")
    connection.execute("SET client_connection_check_interval = '1s'")
    connection.execute("SET jit = off")
    connection.commit()
