"""The commands of the embedded profile, pointed at the cluster's lake and database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.stack.endpoints import environment
from tests.cluster.world import World, made_clicks


def guardian(world: World, *arguments: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("guardian"), *arguments],
        env=os.environ | environment(world.settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sql_batch_and_status_work_on_the_lake_on_s3(world: World) -> None:
    with world.producer() as producer:
        producer.send(CLICK, made_clicks(300, seed=11))
    world.wait_landed()
    asked = "SELECT count(*) AS count FROM raw_clicks"
    found = json.loads(guardian(world, "sql", asked, "--format", "json"))
    assert found == {"count": world.landed()}
    guardian(world, "batch", "2014-04-07")
    metrics = "SELECT total_clicks FROM daily_metrics WHERE dt = '2014-04-07'"
    assert json.loads(guardian(world, "sql", metrics, "--format", "json"))["total_clicks"] > 0
    assert "2014-04-07" not in json.loads(guardian(world, "status", "--json"))["dirty_days"]
