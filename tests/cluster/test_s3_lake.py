"""The commands of the embedded profile, pointed at the cluster's lake and database."""

from __future__ import annotations

import json

from clickstream_guardian.events.fields import CLICK
from tests.cluster.world import World, guardian, made_clicks


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
