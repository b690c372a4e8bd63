"""DuckDB connections of the embedded engine: bounded memory, own temporary folder, UTC."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from fsspec import AbstractFileSystem

DEFAULT_MEMORY_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class DuckDbLimits:
    """What DuckDB may use.

    Attributes:
        temp_dir: folder for what does not fit into memory; made when needed.
        threads: how many threads work at once.
        memory_bytes: bound of its memory, over all threads.
        remote_files: opens paths that are not on a local disk, if the lake has such.
    """

    temp_dir: Path
    threads: int
    memory_bytes: int
    remote_files: AbstractFileSystem | None = None

    def share(self, workers: int) -> DuckDbLimits:
        """The limits of each of several connections that work at once."""
        return replace(
            self,
            threads=max(1, self.threads // workers),
            memory_bytes=self.memory_bytes // workers,
        )


@contextmanager
def open_duckdb(limits: DuckDbLimits) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database in memory that reads nothing but files it is told to.

    Extensions are never fetched, and Python variables are no tables. The temporary files lie in a
    folder of their own below ``limits.temp_dir``, which is removed at the end.

    Raises:
        OSError: the temporary folder cannot be made.
    """
    limits.temp_dir.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="duckdb-", dir=limits.temp_dir)
    try:
        with duckdb.connect(config=_config(folder)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            # `python -c` passes for a person at a terminal, and is shown DuckDB's own bars
            connection.execute("SET enable_progress_bar = false")
            apply_limits(connection, limits)
            if limits.remote_files is not None:
                connection.register_filesystem(limits.remote_files)
            yield connection
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def apply_limits(connection: duckdb.DuckDBPyConnection, limits: DuckDbLimits) -> None:
    """Change what an open database may use; its temporary folder stays."""
    connection.execute(f"SET threads = {limits.threads}")
    connection.execute(f"SET memory_limit = '{limits.memory_bytes}B'")


def _config(folder: str) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "temp_directory": folder,
        "preserve_insertion_order": False,
        "enable_external_file_cache": False,
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def one_sentence(error: duckdb.Error) -> str:
    """What DuckDB says, on one line, without the picture of the query and its class of error."""
    text = str(error).split("\n\nLINE ")[0]
    message = re.sub(r"^((\w+ ){1,4}Error: )+", "", text)
    return " ".join(message.split()).rstrip(".!")
