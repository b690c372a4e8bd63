"""A script in `deploy/spark`, by spark-submit, computes the day of the lake on S3 as DuckDB."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.stack.endpoints import cluster_database_url
from tests.cluster.world import SUBMIT, World, guardian, made_clicks, submit_environment

JOB = Path(__file__).parents[2] / "deploy" / "spark" / "daily_metrics.py"
DAY = "2014-04-07"


def stored(world: World) -> list[dict[str, Any]]:
    query = f"SELECT * FROM daily_metrics WHERE dt = '{DAY}'"
    lines = guardian(world, "sql", query, "--format", "json").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.timeout(900)  # Spark starts, on two cores beside the stack
def test_the_day_on_s3_is_the_same_by_duckdb_and_by_spark_submit(world: World) -> None:
    with world.producer() as producer:
        producer.send(CLICK, made_clicks(500, seed=12))
    world.wait_landed()
    guardian(world, "batch", DAY)
    expected = stored(world)
    assert expected[0]["total_clicks"] > 0
    with psycopg.connect(cluster_database_url(world.settings)) as connection:
        connection.execute("DELETE FROM daily_metrics")
    done = subprocess.run(
        [SUBMIT, JOB, DAY],
        env=os.environ | submit_environment(world),
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert stored(world) == expected
    guardian(world, "verify", DAY)
