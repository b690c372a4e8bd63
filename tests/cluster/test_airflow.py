"""Airflow as the clock: a real scheduler runs the DAGs over a lake with two days in it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from clickstream_guardian.lab.generator import write_dataset
from clickstream_guardian.settings import Settings, load_settings
from clickstream_guardian.stack import lifecycle
from clickstream_guardian.stack.endpoints import (
    cluster_database_url,
    cluster_secrets,
    environment,
)
from tests.cluster.conftest import free_ports
from tests.cluster.world import wait_for
from tests.conftest import make_home, remove_home

PIPELINE, UPKEEP = "daily_batch_pipeline", "lake_maintenance"
DAYS = (date(2014, 4, 7), date(2014, 4, 8))
ENDED = (datetime.now(UTC) - timedelta(days=1, hours=1, minutes=30)).date()
"""The newest day whose run is due."""
METRICS = ("daily_metrics", "session_funnel", "item_daily", "popular_categories")


@dataclass(frozen=True)
class Clock:
    """Airflow over its REST API, and the home that it works in."""

    settings: Settings
    client: httpx.Client

    def get(self, path: str) -> Any:
        return self.client.get(path).raise_for_status().json()

    def trigger(self, conf: Mapping[str, str]) -> httpx.Response:
        asked = {"logical_date": None, "conf": conf}
        return self.client.post(f"/dags/{PIPELINE}/dagRuns", json=asked)

    def tasks(self, dag: str, run: str) -> dict[str, dict[str, Any]]:
        found = self.get(f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def scheduled(self, dag: str) -> list[dict[str, Any]]:
        runs = self.get(f"/dags/{dag}/dagRuns")["dag_runs"]
        return [run for run in runs if run["run_type"] == "scheduled"]

    def wait_success(self, dag: str, run: str) -> None:
        def state() -> str:
            return str(self.get(f"/dags/{dag}/dagRuns/{run}")["state"])

        wait_for(lambda: state() in ("success", "failed"), 300, lambda: f"{state()}", every=0.5)
        tasks = {name: task["state"] for name, task in self.tasks(dag, run).items()}
        assert set(tasks.values()) == {"success"}, tasks

    def guardian(self, *arguments: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GUARDIAN_", "DATABASE_"))}
        ours = environment(self.settings) | {"GUARDIAN_HOME": str(self.settings.home_path)}
        command = [Path(sys.executable).with_name("guardian"), *arguments]
        subprocess.run(command, env=kept | ours, check=True, capture_output=True)

    def stored(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(cluster_database_url(self.settings)) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clock() -> Iterator[Clock]:
    home = make_home()
    ports = free_ports("postgres_port", "airflow_port")
    settings = load_settings(
        home=home,
        warehouse=str(home / "lake"),
        airflow_retry_seconds=6,
        schedule_from=ENDED,
        **ports,
    )
    started = time.monotonic()
    try:
        lifecycle.up(settings, ["airflow"], print)
        print(f"PostgreSQL and Airflow: {time.monotonic() - started:.1f} s")
        base = f"http://127.0.0.1:{settings.airflow_port}"
        login = {"username": "guardian", "password": cluster_secrets(settings).airflow_password}
        token = httpx.post(f"{base}/auth/token", json=login, timeout=90).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"{base}/api/v2", headers=headers, timeout=90) as client:
            yield Clock(settings, client)
    finally:
        lifecycle.destroy(settings)
        remove_home(home)


def test_the_dags_are_there_without_an_import_error(clock: Clock) -> None:
    wait_for(lambda: clock.get("/dags")["total_entries"] == 2, 60)
    assert clock.get("/importErrors")["import_errors"] == []
    assert {dag["dag_id"] for dag in clock.get("/dags")["dags"]} == {PIPELINE, UPKEEP}
    upstream = {
        task["task_id"]: set(task["downstream_task_ids"])
        for task in clock.get(f"/dags/{PIPELINE}/tasks")["tasks"]
    }
    families = {"session_funnel", "popular_items", "popular_categories"}
    assert upstream["restate_dirty_days"] == {"daily_metrics"}
    assert upstream["daily_metrics"] == families
    assert all(upstream[name] == {"verify"} for name in families)
    details = clock.get(f"/dags/{PIPELINE}/details")
    assert (details["catchup"], details["max_active_runs"]) == (True, 1)
    assert {task["retries"] for task in clock.get(f"/dags/{PIPELINE}/tasks")["tasks"]} == {3}


def test_nobody_enters_without_the_password(clock: Clock) -> None:
    base = str(clock.client.base_url).rstrip("/")
    assert httpx.get(f"{base}/dags", timeout=60).status_code == 401
    login = {"username": "guardian", "password": "guardian"}
    entry = base.replace("/api/v2", "/auth/token")
    assert httpx.post(entry, json=login, timeout=60).status_code == 401


@pytest.mark.timeout(800)
def test_the_day_that_has_ended_is_computed_by_itself(clock: Clock) -> None:
    for dag in (PIPELINE, UPKEEP):
        wait_for(lambda dag=dag: bool(clock.scheduled(dag)), 120)
        (run,) = clock.scheduled(dag)
        clock.wait_success(dag, run["dag_run_id"])
    assert clock.stored("SELECT dt, total_clicks FROM daily_metrics") == [(ENDED, 0)]


def test_a_day_that_is_none_is_refused(clock: Clock) -> None:
    assert clock.trigger({"first_day": "2014-13-45"}).status_code in (400, 422)


@pytest.mark.timeout(800)
def test_days_asked_for_are_retried_after_a_failure_and_stored(
    clock: Clock, tmp_path: Path
) -> None:
    made = write_dataset(tmp_path, scale=0.02, days=DAYS, seed=8, duplicates=0.01)
    files = ("--clicks", str(made.clicks_file), "--purchases", str(made.purchases_file))
    clock.guardian("replay", *files)
    for name in METRICS:
        with psycopg.connect(cluster_database_url(clock.settings)) as connection:
            connection.execute(f"DELETE FROM {name}")  # type: ignore[arg-type]

    file = next((clock.settings.home_path / "lake").rglob("dt=2014-04-07/**/*.parquet"))
    away = file.rename(tmp_path / "away")
    run = clock.trigger({"first_day": str(DAYS[0]), "last_day": str(DAYS[1])})
    run_id = run.raise_for_status().json()["dag_run_id"]

    def state() -> str:
        return str(clock.tasks(PIPELINE, run_id).get("daily_metrics", {}).get("state"))

    wait_for(lambda: state() == "up_for_retry", 300, state)
    assert clock.stored("SELECT count(*) FROM daily_metrics WHERE dt < '2015-01-01'") == [(0,)]
    away.rename(file)
    clock.wait_success(PIPELINE, run_id)
    assert clock.tasks(PIPELINE, run_id)["daily_metrics"]["try_number"] >= 2

    rows = clock.stored("SELECT dt, source_rows FROM daily_metrics WHERE dt < '2015-01-01'")
    lines = [*made.clicks_file.open(), *made.purchases_file.open()]
    events = Counter(line.split(",")[1][:10] for line in lines)  # a few lie past the last midnight
    assert sorted(rows) == [(day, events[str(day)]) for day in DAYS]
    for name in METRICS:
        days = clock.stored(f"SELECT DISTINCT dt FROM {name} WHERE dt < '2015-01-01' ORDER BY dt")
        assert [dt for (dt,) in days] == list(DAYS), name
