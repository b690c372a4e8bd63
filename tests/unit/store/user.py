"""A process that uses the embedded database: counts up in a table, commit by commit, for a while.

``python -m tests.unit.store.user HOME COMMITS`` prints each number once it is committed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

from clickstream_guardian.store.embedded import EmbeddedServer, start_server


def connect(server: EmbeddedServer) -> psycopg.Connection:
    return psycopg.connect(server.owner_url.replace("+psycopg", "", 1), autocommit=True)


def main(home: str, commits: str) -> None:
    with start_server(Path(home)) as server, connect(server) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")  # tables made at once disturb each other
        connection.execute("CREATE TABLE IF NOT EXISTS counted (number serial)")
        connection.execute("SELECT pg_advisory_unlock(1)")
        for _ in range(int(commits)):
            row = connection.execute("INSERT INTO counted DEFAULT VALUES RETURNING number")
            print(*(row.fetchone() or ()), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
