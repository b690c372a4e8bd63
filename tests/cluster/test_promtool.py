"""Prometheus' own tool on the rules and on every expression of the dashboards; needs no server."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from pathlib import Path

import yaml
from prometheus_client import generate_latest

from clickstream_guardian.api.gauges import gauges
from tests.unit.test_prometheus import (
    PROMETHEUS,
    STATUS,
    api_measures,
    dashboards,
    expressions,
    registries,
)


def run_promtool(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run it in the folder of the rules, with what it reads."""
    tool = shutil.which("promtool")
    assert tool, "promtool is missing: install the package `prometheus` (apt-get, brew)."
    return subprocess.run(
        [tool, *arguments], cwd=PROMETHEUS, input=given, capture_output=True, text=True, check=False
    )


def promtool(*arguments: str) -> str:
    """What it printed of something that is right."""
    done = run_promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_rule_fires_when_it_should_and_only_then() -> None:
    promtool("test", "rules", "alerts_test.yml")


def test_each_rule_has_a_test() -> None:
    [group] = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"]}
    silent = {
        one["alertname"]
        for test in tests
        for one in test["alert_rule_test"]
        if not one["exp_alerts"]
    }
    assert fired == silent == {rule["alert"] for rule in group["rules"]}


def test_prometheus_reads_its_configuration() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")


def test_every_process_names_its_metrics_as_prometheus_asks() -> None:
    served = [
        *map(generate_latest, registries()),
        api_measures().text(gauges(STATUS, date(2026, 1, 1))),
    ]
    complaints = [
        line
        for text in served
        for line in run_promtool("check", "metrics", given=text.decode()).stderr.splitlines()
    ]
    # what is counted are days: they are no unit of time here
    assert all(line.endswith('use base unit "seconds" instead of "days"') for line in complaints)
    assert {line.split()[0] for line in complaints} == {
        "guardian_batch_days",
        "guardian_days_computed",
        "guardian_days_dirty",
    }


def test_every_expression_of_the_dashboards_is_one(tmp_path: Path) -> None:
    rules = [
        {"record": f"dashboard:{number}", "expr": expression}
        for number, expression in enumerate(
            one for board in dashboards().values() for one in expressions(board)
        )
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(file))
