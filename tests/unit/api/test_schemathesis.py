"""Schemathesis, with every check it has, over the whole OpenAPI document and a real port."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.store import Store
from clickstream_guardian.store.keys import create_key
from tests.unit.api.test_models import fill

Serve = Callable[[ApiConfig], str]


def run(url: str, folder: Path, *options: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--checks", "all", "--no-color", "--generation-database", "none", *options),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout


@pytest.mark.parametrize("seed", [1, 2])
def test_every_operation_keeps_what_the_document_promises(
    serve: Serve, config: ApiConfig, store: Store, tmp_path: Path, seed: int
) -> None:
    fill(store)
    url = serve(replace(config, stream_seconds=0.1, poll_seconds=0.05))
    run(url, tmp_path, "--max-examples", "25", "--seed", str(seed))


def test_no_operation_forgets_to_ask_for_the_key(
    serve: Serve, config: ApiConfig, store: Store, tmp_path: Path
) -> None:
    fill(store)
    with store.begin() as connection:
        secret = create_key(connection, "schemathesis").secret
    url = serve(
        replace(
            config,
            keys_required=True,
            requests_per_second=100_000,
            burst=100_000,
            stream_seconds=0.1,
            poll_seconds=0.05,
        )
    )
    options = ("--max-examples", "5", "--phases", "coverage,fuzzing")
    run(url, tmp_path, *options, "--header", f"Authorization: Bearer {secret}")
