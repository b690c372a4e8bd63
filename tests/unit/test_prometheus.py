"""The rules for Prometheus speak only of metrics that Guardian serves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from clickstream_guardian.api.gauges import gauges
from clickstream_guardian.telemetry.detection import DetectionMetrics

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
SEVERITIES = {"low", "medium", "high", "critical"}
STATUS: dict[str, Any] = {
    "events": dict.fromkeys(("received", "landed", "duplicates", "rejected", "late"), 1),
    "batch": {
        "day_count": 1,
        "dirty_days": [],
        "last_finished_at": "2026-01-01T00:00:00+00:00",
    },
    "reconciliation": {"difference": 0},
    "lag": 1,
    "newest_event_at": "2026-01-01T00:00:00+00:00",
}


def served() -> set[str]:
    """Every name that a scrape of the API or of a detector can hold."""
    names = set(gauges(STATUS))
    for family in DetectionMetrics()._registry.collect():
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        names |= {family.name + end for end in ends.get(family.type, [""])}
    return names


def test_every_rule_speaks_of_metrics_that_are_served() -> None:
    [group] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    mentioned = {
        name for rule in group["rules"] for name in re.findall(r"guardian_[a-z_]+", rule["expr"])
    } - {"guardian_"}
    assert mentioned <= served()
    assert {rule["labels"]["severity"] for rule in group["rules"]} <= SEVERITIES
    assert all(rule["annotations"]["summary"] for rule in group["rules"])


def test_the_rules_are_loaded_by_the_configuration() -> None:
    found = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert all((FOLDER / name).is_file() for name in found["rule_files"])
