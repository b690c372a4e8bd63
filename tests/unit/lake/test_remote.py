"""A file on S3 as DuckDB reads it: many threads through one handle."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import LocalFileSystem

from clickstream_guardian.lake.remote import SharedFile, SharedFiles


@pytest.fixture
def file(tmp_path: Path) -> SharedFile:
    path = tmp_path / "digits"
    path.write_bytes(b"0123456789" * 10)
    return SharedFile(None, LocalFileSystem().open_input_file(str(path)), str(path), "rb")


def test_threads_do_not_move_each_other(file: SharedFile) -> None:
    everybody_has_moved = Barrier(8)

    def read(place: int) -> bytes:
        file.seek(place)
        everybody_has_moved.wait(10)
        return file.read(2) + file.read(1)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, range(8)))
    assert found == [b"0123456789"[n : n + 3] for n in range(8)]


def test_one_thread_reads_as_in_any_file(file: SharedFile) -> None:
    assert file.read(3) == b"012"
    assert file.tell() == 3
    assert file.seek(-5, io.SEEK_END) == 95
    assert file.read() == b"56789"
    assert file.read(4) == b""
    assert file.seek(2) == 2
    assert file.seek(2, io.SEEK_CUR) == 4
    assert file.read(1) == b"4"
    buffer = bytearray(3)
    assert file.readinto(memoryview(buffer)) == 3
    assert buffer == b"567"


class Elsewhere(SharedFiles):
    protocol = "elsewhere"


def test_duckdb_reads_many_row_groups_at_once(tmp_path: Path) -> None:
    numbers = range(100_000)
    paths = [str(tmp_path / f"{n}.parquet") for n in range(6)]
    for path in paths:
        table = pa.table({"number": numbers, "text": [str(n) for n in numbers]})
        pq.write_table(table, path, row_group_size=5_000)
    with duckdb.connect(config={"threads": 8}) as connection:
        connection.register_filesystem(Elsewhere(LocalFileSystem()))
        found = connection.execute(
            "SELECT sum(number), count(DISTINCT text) FROM read_parquet(?, union_by_name = true)",
            [[f"elsewhere://{path}" for path in paths]],
        ).fetchall()
    assert found == [(6 * sum(numbers), len(numbers))]
