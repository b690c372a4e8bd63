"""Rules and dashboards speak only of metrics that Guardian serves, and the page tells of each."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client import CollectorRegistry

from clickstream_guardian.api.gauges import gauges
from clickstream_guardian.api.measures import Measures
from clickstream_guardian.api.stream import ChangeFeed
from clickstream_guardian.stack.kafka_metrics import BROKER_METRICS
from clickstream_guardian.telemetry.detection import DetectionMetrics
from clickstream_guardian.telemetry.produce import ProduceMetrics
from clickstream_guardian.telemetry.replay import ReplayMetrics

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
PAGE = ROOT / "docs" / "operations" / "MONITORING_STRATEGY.md"
SEVERITIES = {"low", "medium", "high", "critical"}
ENDS = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
METRIC = re.compile(r"\b(?:guardian|process|kafka)_[a-z_]*[a-z]\b|\bup\b")
STATUS: dict[str, Any] = {
    "events": dict.fromkeys(("received", "landed", "duplicates", "rejected", "late"), 1),
    "batch": {
        "day_count": 1,
        "dirty_days": [],
        "last_finished_at": "2026-01-01T00:00:00+00:00",
        "last_run": {"failed": False, "seconds": 1.5, "day_count": 1},
    },
    "reconciliation": {"difference": 0},
    "lag": 1,
    "newest_event_at": "2026-01-01T00:00:00+00:00",
}


def dashboards() -> dict[str, dict[str, Any]]:
    """The dashboards by file name."""
    return {path.name: json.loads(path.read_text()) for path in sorted(GRAFANA.glob("*.json"))}


def expressions(board: dict[str, Any]) -> list[str]:
    """Every expression of a dashboard."""
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def names_of(registry: CollectorRegistry) -> set[str]:
    return {
        family.name + end for family in registry.collect() for end in ENDS.get(family.type, [""])
    }


def served() -> set[str]:
    """Every name that a scrape of the API, a detector, a replay, a producer or a broker
    can hold."""
    return set(gauges(STATUS, date(2026, 1, 1))).union(BROKER_METRICS, *map(names_of, registries()))


def registries() -> list[CollectorRegistry]:
    """What each process of ours serves."""
    processes = (DetectionMetrics(), ReplayMetrics(), ProduceMetrics())
    return [api_measures().registry, *(one.registry for one in processes)]


def api_measures() -> Measures:
    """What the API measures of itself."""
    feed = cast(ChangeFeed, SimpleNamespace(listeners=0))
    return Measures(lambda: {"open": 1}, feed)


def mentioned(expression: str) -> set[str]:
    """Metrics of an expression; what stands in quotes is a label's value."""
    return set(METRIC.findall(re.sub(r'"[^"]*"', "", expression)))


def test_every_rule_speaks_of_metrics_that_are_served() -> None:
    [group] = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        assert mentioned(rule["expr"]), rule["alert"]
        assert mentioned(rule["expr"]) <= served() | {"up"}, rule["alert"]
    assert {rule["labels"]["severity"] for rule in group["rules"]} <= SEVERITIES
    assert all(rule["annotations"]["summary"] for rule in group["rules"])


def test_every_panel_speaks_of_metrics_that_are_served() -> None:
    boards = dashboards()
    assert set(boards) == {"overview.json", "detection.json", "ingestion.json"}
    for board in boards.values():
        for expression in expressions(board):
            assert mentioned(expression), expression
            assert mentioned(expression) <= served() | {"up"}, expression


def unknown(given: object, read: object, place: str = "") -> list[str]:
    """Where a dashboard says what Grafana's model, having read it, does not say again."""
    if isinstance(given, dict) and isinstance(read, dict):
        pairs = [(one, read.get(name), f"{place}.{name}") for name, one in given.items()]
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        pairs = [(*both, f"{place}[{n}]") for n, both in enumerate(zip(given, read, strict=True))]
    else:
        return [] if given == read else [place]
    return [found for pair in pairs for found in unknown(*pair)]


def test_every_field_of_a_dashboard_is_one_of_grafanas_own_model() -> None:
    register_default_plugins()
    boards = dashboards()
    boards["wrong"] = {"title": "x", "colour": "red"}
    said = {}
    for name, board in boards.items():
        read = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
        said[name] = unknown(board, read)
    assert {name: fields for name, fields in said.items() if fields} == {"wrong": [".colour"]}


def test_panels_lie_side_by_side_and_say_what_they_show() -> None:
    for name, board in dashboards().items():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            place = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not taken & place, (name, panel["title"])
            assert at["x"] + at["w"] <= 24
            assert panel["description"], (name, panel["title"])
            taken |= place


def test_every_metric_of_ours_is_on_the_page() -> None:
    page = PAGE.read_text()
    plain = {re.sub(r"_(bucket|sum|count)$", "", name) for name in served()}
    ours = {name for name in plain if name.startswith(("guardian_", "kafka_"))}
    missing = {name for name in ours if f"`{name}`" not in page}
    assert not missing


def test_the_rules_are_loaded_by_the_configuration() -> None:
    found = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert all((PROMETHEUS / name).is_file() for name in found["rule_files"])


def test_the_day_that_runs_is_not_dirty() -> None:
    batch = STATUS["batch"] | {"dirty_days": ["2026-01-01", "2026-01-02", "2026-01-03"]}
    found = gauges(STATUS | {"batch": batch}, date(2026, 1, 3))
    assert found["guardian_days_dirty"][1] == 2
