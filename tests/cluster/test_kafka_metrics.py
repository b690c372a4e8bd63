"""Each broker tells Prometheus of itself, all that the page of metrics promises."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from clickstream_guardian.settings import Settings
from clickstream_guardian.stack import lifecycle
from clickstream_guardian.stack.kafka_metrics import BROKER_METRICS
from tests.cluster.conftest import free_ports


def scraped(target: str) -> dict[str, float]:
    """What a broker serves, by name."""
    text = httpx.get(f"http://{target}/metrics", timeout=60).text
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def test_each_broker_serves_what_is_promised_until_it_is_taken_down(tmp_path: Path) -> None:
    ports = free_ports("kafka_port", "kafka_controller_port", "kafka_metrics_port")
    settings = Settings(home=tmp_path, **ports)  # type: ignore[arg-type]
    file = settings.metrics_targets / "guardian_kafka.json"
    try:
        lifecycle.up(settings, ["kafka"], print)
        [group] = json.loads(file.read_text())
        found = [scraped(target) for target in group["targets"]]
    finally:
        lifecycle.destroy(settings)
    assert len(found) == 3
    for values in found:
        assert set(BROKER_METRICS) <= set(values)
        assert values["kafka_controller_kafkacontroller_offlinepartitionscount"] == 0
    controllers = [one["kafka_controller_kafkacontroller_activecontrollercount"] for one in found]
    assert sum(controllers) == 1
    assert not file.exists()
