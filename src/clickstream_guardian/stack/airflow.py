"""Airflow in an environment of its own: API server, scheduler and DAG processor.

Its dependencies are not ours, so that neither holds the other back. The DAGs call the command
`guardian` of this installation, with the variables that point it at the stack's servers.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
from filelock import FileLock

from clickstream_guardian.errors import GuardianError, UsageError
from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.deployed import deployed_folder, lock_file
from clickstream_guardian.stack.endpoints import environment
from clickstream_guardian.stack.postgres import database_url
from clickstream_guardian.stack.secrets import StackSecrets, write_private
from clickstream_guardian.stack.service import Service

USER = "guardian"
_COMPLETE = ".complete"


def install_airflow(cache: Path) -> Path:
    """The environment with Airflow as ``locks/airflow.txt`` says; made on first use.

    Args:
        cache: folder that outlives homes.

    Returns:
        Its folder of programs.

    Raises:
        UsageError: uv is missing.
        GuardianError: a package cannot be installed.
    """
    lock = lock_file("airflow")
    key = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache.expanduser() / f"airflow-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / _COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run(_uv(), "venv", "--quiet", "--python", sys.executable, str(folder))
            python = str(folder / "bin/python")
            _run(
                *(_uv(), "pip", "install", "--quiet", "--compile-bytecode", "--python", python),
                *("--require-hashes", "-r", str(lock)),
            )
            (folder / _COMPLETE).touch()
    return folder / "bin"


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise UsageError(
            "uv, which installs Airflow, was not found: install the extra `[cluster]`."
        )
    return found


def _run(*command: str, variables: Mapping[str, str] | None = None) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    if run.returncode:
        lines = (run.stderr.strip() or run.stdout.strip() or "no message").splitlines()
        raise GuardianError(
            f"`{' '.join(command[:3])}` failed ({lines[-1].strip()}); check the network and the "
            "package index in use, then the same command goes on from here."
        )


def airflow_services(
    settings: Settings, folder: Path, programs: Path, secrets: StackSecrets
) -> list[Service]:
    """The three processes; the database is brought to this Airflow's version before they start."""
    own = folder / "airflow"
    base = f"http://{settings.stack_host}:{settings.airflow_port}"
    airflow = str(programs / "airflow")
    variables = airflow_environment(settings, own, secrets)

    def prepare() -> None:
        own.mkdir(parents=True, exist_ok=True)
        write_private(own / "passwords.json", json.dumps({USER: secrets.airflow_password}))

    process = partial(
        Service,
        folder=own,
        address=base,
        environment=variables,
        prepare=prepare,
        account=USER,
    )
    return [
        process(
            name="airflow-api",
            group="airflow-api",  # tasks talk to it: it is there before the first is started
            command=(airflow, "api-server", "--workers", "1"),
            ports=(settings.airflow_port,),
            probe=lambda: _healthy(base, "metadatabase"),
            begin=lambda: _run(airflow, "db", "migrate", variables={**os.environ, **variables}),
        ),
        process(
            name="airflow-scheduler",
            group="airflow",
            command=(airflow, "scheduler", "--skip-serve-logs"),
            probe=lambda: _healthy(base, "scheduler"),
        ),
        process(
            name="airflow-dags",
            group="airflow",
            command=(airflow, "dag-processor"),
            probe=lambda: _healthy(base, "dag_processor"),
        ),
    ]


def airflow_environment(settings: Settings, own: Path, secrets: StackSecrets) -> dict[str, str]:
    """Airflow's settings, and what the command `guardian` of its tasks reads."""
    base = f"http://{settings.stack_host}:{settings.airflow_port}"
    database = database_url(settings, secrets, "airflow")
    airflow = {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "4",
        "CORE__DAGS_FOLDER": str(deployed_folder("airflow") / "dags"),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "CORE__FERNET_KEY": secrets.airflow_key,
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(own / "passwords.json"),
        "DATABASE__SQL_ALCHEMY_CONN": database.replace("postgresql:", "postgresql+psycopg2:", 1),
        "API__HOST": settings.stack_host,
        "API__PORT": str(settings.airflow_port),
        "API__BASE_URL": base,
        "API__SECRET_KEY": _derived(secrets.airflow_key, "api"),
        "API_AUTH__JWT_SECRET": _derived(secrets.airflow_key, "jwt"),
        "LOGGING__BASE_LOG_FOLDER": str(own / "logs"),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {
        "AIRFLOW_HOME": str(own),
        **{f"AIRFLOW__{name}": value for name, value in airflow.items()},
        **environment(settings),
        **_of_the_tasks(settings),
    }


def _of_the_tasks(settings: Settings) -> dict[str, str]:
    programs = Path(sys.executable).parent
    variables = {
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "GUARDIAN_HOME": str(settings.home_path),
        "GUARDIAN_CACHE_DIR": str(settings.cache_dir.expanduser()),
        "GUARDIAN_BATCH_ENGINE": settings.batch_engine,
        "GUARDIAN_AIRFLOW_RETRY_SECONDS": str(settings.airflow_retry_seconds),
        "GUARDIAN_SCHEDULE_FROM": _first_day(settings),
    }
    if settings.java_home is not None:
        variables["GUARDIAN_JAVA_HOME"] = str(settings.java_home)
    return variables


def _first_day(settings: Settings) -> str:
    """The first day of the schedule: the one set, else the day on which this was first asked."""
    if settings.schedule_from is not None:
        return settings.schedule_from.isoformat()
    file = settings.home_path / "stack" / "schedule-from.txt"
    if not file.exists():
        write_private(file, datetime.now(UTC).date().isoformat())
    return file.read_text()


def _derived(key: str, purpose: str) -> str:
    """A secret of its own for each purpose, so that one that leaks gives no other away."""
    return hmac.new(key.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def _healthy(base: str, part: str) -> None:
    """Raise unless Airflow says that this part of it works."""
    found = httpx.get(f"{base}/api/v2/monitor/health", timeout=5).raise_for_status().json()
    status = found[part]["status"]
    if status != "healthy":
        raise GuardianError(f"Airflow's {part} is {status}")


if __name__ == "__main__":
    from clickstream_guardian.settings import load_settings

    print(install_airflow(load_settings().cache_dir))
