"""The package's face: cheap to import, one version."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"polars", "duckdb", "pyarrow", "pyiceberg", "sqlalchemy", "fastapi", "streamlit", "numpy"}


@pytest.mark.parametrize("module", ["clickstream_guardian", "clickstream_guardian.cli"])
def test_importing_it_pulls_in_none_of_the_heavy_libraries(module: str) -> None:
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(run.stdout.split())
