"""What a connection may use, and how its errors read."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from clickstream_guardian.engines.embedded.connection import (
    DuckDbLimits,
    one_sentence,
    open_duckdb,
    quoted,
)


def test_connection_keeps_its_limits(limits: DuckDbLimits) -> None:
    with open_duckdb(limits) as connection:
        rows = connection.execute(
            "SELECT current_setting('threads'), current_setting('memory_limit'), "
            "current_setting('TimeZone')"
        ).fetchall()
    assert rows == [(2, "512.0 MiB", "UTC")]


def test_workers_share_the_limits() -> None:
    share = DuckDbLimits(Path("x"), threads=5, memory_bytes=1000).share(2)
    assert (share.threads, share.memory_bytes) == (2, 500)
    assert DuckDbLimits(Path("x"), threads=1, memory_bytes=1000).share(3).threads == 1


def test_work_larger_than_memory_goes_through_the_temporary_folder(tmp_path: Path) -> None:
    limits = DuckDbLimits(tmp_path / "tmp", threads=1, memory_bytes=64 * 1024**2)
    with open_duckdb(limits) as connection:
        sorted_rows = "SELECT hash(range) AS h, repeat('x', 40) AS x FROM range(2000000) ORDER BY h"
        connection.execute(f"CREATE TABLE t AS {sorted_rows}")
        assert list((tmp_path / "tmp").rglob("*.tmp"))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_python_variables_are_no_tables(limits: DuckDbLimits) -> None:
    secret = [1]
    with open_duckdb(limits) as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT * FROM secret")
    assert secret


@pytest.mark.parametrize("text", ["plain", "it's", "''", "a\\b"])
def test_quoted_text_is_the_text(text: str) -> None:
    assert duckdb.sql(f"SELECT {quoted(text)}").fetchall() == [(text,)]


def test_error_is_one_sentence_without_class_and_picture() -> None:
    with pytest.raises(duckdb.Error) as error:
        duckdb.execute("SELECT nothing FROM range(1)")
    assert one_sentence(error.value) == (
        'Referenced column "nothing" not found in FROM clause! Candidate bindings: "range"'
    )
