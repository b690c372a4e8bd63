"""Airflow's three processes: what they are told, and what they are not."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.settings import Settings, load_settings
from clickstream_guardian.stack import airflow
from clickstream_guardian.stack.airflow import airflow_environment, airflow_services
from clickstream_guardian.stack.deployed import deployed_folder, lock_file
from clickstream_guardian.stack.secrets import StackSecrets, load_or_create_secrets


@pytest.fixture
def secrets(tmp_path: Path) -> StackSecrets:
    return load_or_create_secrets(tmp_path)[0]


def settings_of(home: Path, **more: object) -> Settings:
    return load_settings(home=home, airflow_port=8765, **more)


def test_the_processes_share_their_secrets_and_no_two_secrets_are_one(
    tmp_path: Path, secrets: StackSecrets
) -> None:
    services = airflow_services(settings_of(tmp_path), tmp_path, Path("/env/bin"), secrets)
    assert [service.name for service in services] == [
        *("airflow-api", "airflow-scheduler", "airflow-dags"),
    ]
    assert len({tuple(service.environment.items()) for service in services}) == 1
    given = services[0].environment
    keys = ("CORE__FERNET_KEY", "API__SECRET_KEY", "API_AUTH__JWT_SECRET")
    assert len({given[f"AIRFLOW__{key}"] for key in keys}) == 3
    assert given["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8765/execution/"
    for service in services:
        assert not any(secrets.airflow_password in part for part in service.command)


def test_the_password_file_is_the_owners_alone(tmp_path: Path, secrets: StackSecrets) -> None:
    airflow_services(settings_of(tmp_path), tmp_path, Path("/env/bin"), secrets)[0].prepare()
    assert (tmp_path / "airflow/passwords.json").stat().st_mode & 0o077 == 0


def test_the_schedule_begins_with_the_day_of_the_first_start(
    tmp_path: Path, secrets: StackSecrets
) -> None:
    first = airflow_environment(settings_of(tmp_path), tmp_path, secrets)["GUARDIAN_SCHEDULE_FROM"]
    assert date.fromisoformat(first) <= datetime.now(UTC).date()
    (tmp_path / "stack/schedule-from.txt").write_text("2020-02-02")
    later = airflow_environment(settings_of(tmp_path), tmp_path, secrets)
    assert later["GUARDIAN_SCHEDULE_FROM"] == "2020-02-02"
    asked = settings_of(tmp_path, schedule_from=date(2014, 4, 1))
    given = airflow_environment(asked, tmp_path, secrets)
    assert given["GUARDIAN_SCHEDULE_FROM"] == "2014-04-01"


def test_an_installation_that_failed_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(list(command))
        failed = "pip" in command and len(calls) == 2
        if "venv" in command:
            Path(command[-1]).mkdir()
        return subprocess.CompletedProcess(command, int(failed), "", "no route to host")

    monkeypatch.setattr(airflow.subprocess, "run", run)
    with pytest.raises(GuardianError, match=r"pip install.*no route to host"):
        airflow.install_airflow(tmp_path)
    programs = airflow.install_airflow(tmp_path)
    assert airflow.install_airflow(tmp_path) == programs
    assert ["venv" in call for call in calls] == [True, False, True, False]


def test_without_uv_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(airflow.shutil, "which", lambda _name: None)
    with pytest.raises(UsageError, match=r"install the extra `\[cluster\]`"):
        airflow.install_airflow(tmp_path)


def test_the_lock_names_every_package_by_hash_and_no_place() -> None:
    lines = lock_file("airflow").read_text().splitlines()
    assert any(line.startswith("apache-airflow==3.3.") for line in lines)
    assert sum("--hash=sha256:" in line for line in lines) > 100
    assert not [line for line in lines if line.startswith("--") or "://" in line]


@pytest.mark.parametrize("dag", ["daily_batch_pipeline", "lake_maintenance"])
def test_the_dags_call_commands_that_there_are(dag: str) -> None:
    from typer.main import get_command

    from clickstream_guardian.cli.app import app

    text = (deployed_folder("airflow") / "dags" / f"{dag}.py").read_text()
    called = set(re.findall(r"bash_command=f?['\"]guardian (\w+)", text))
    assert called
    assert called <= get_command(app).commands.keys()  # type: ignore[attr-defined]
