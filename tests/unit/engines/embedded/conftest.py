"""An empty lake in a folder, and the limits of a small DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clickstream_guardian.engines.embedded.batch import DuckDbEngine
from clickstream_guardian.engines.embedded.connection import DuckDbLimits
from tests.parity.parquet_lake import ParquetLake


@pytest.fixture
def folder_lake(tmp_path: Path) -> ParquetLake:
    return ParquetLake(tmp_path / "lake")


@pytest.fixture
def limits(tmp_path: Path) -> DuckDbLimits:
    return DuckDbLimits(tmp_path / "tmp", threads=2, memory_bytes=512 * 1024**2)


@pytest.fixture
def engine(folder_lake: ParquetLake, tmp_path: Path) -> Iterator[DuckDbEngine]:
    with DuckDbEngine(folder_lake, tmp_path / "tmp", threads=2) as opened:
        yield opened
