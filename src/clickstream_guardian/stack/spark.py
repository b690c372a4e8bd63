"""Spark standalone: a master and workers, which run the executors of whoever asks."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from clickstream_guardian.engines.spark.configuration import (
    LakeAccess,
    base_properties,
    catalog_properties,
    checkpoint_properties,
    is_on_s3,
    write_configuration,
)
from clickstream_guardian.errors import UsageError
from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.endpoints import s3_access
from clickstream_guardian.stack.jars import resolve_jars
from clickstream_guardian.stack.java import spark_java
from clickstream_guardian.stack.probes import answers
from clickstream_guardian.stack.secrets import StackSecrets, load_secrets
from clickstream_guardian.stack.service import Service

INSTALL_PYSPARK = "install the extra: `pip install 'clickstream-guardian[spark]'`"


def spark_home() -> Path:
    """The folder of PySpark, which carries the servers too.

    Raises:
        UsageError: it is not installed.
    """
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        raise UsageError(f"PySpark is not installed: {INSTALL_PYSPARK}.")
    return Path(found.origin).parent


def master_url(settings: Settings) -> str:
    """The Spark to use: ``GUARDIAN_SPARK_MASTER`` if given, else the stack's."""
    return settings.spark_master or f"spark://{settings.stack_host}:{settings.spark_master_port}"


def spark_services(
    settings: Settings, folder: Path, jars: Path, secrets: StackSecrets, lake: LakeAccess
) -> list[Service]:
    """Master and workers; all prepare the folder of settings that jobs use too."""
    home = spark_home()
    own = folder / "spark"  # with endpoints.spark_configuration
    host = settings.stack_host
    environment = {
        "SPARK_HOME": str(home),
        "JAVA_HOME": str(spark_java(settings.java_home).resolve().parents[1]),
        "SPARK_CONF_DIR": str(own / "conf"),
        "SPARK_LOCAL_IP": host,
        "SPARK_DAEMON_MEMORY": "256m",
    }
    properties = {
        **base_properties(master_url(settings), jars, settings.spark_job_ui_port, host),
        **catalog_properties(lake),
        **checkpoint_properties(s3_access(settings)),
        **_private(secrets),
    }

    def prepare() -> None:
        write_configuration(own / "conf", properties)
        (own / "work").mkdir(parents=True, exist_ok=True)

    def service(
        name: str, ui: int, port: int | None, kind: str, arguments: tuple[str, ...]
    ) -> Service:
        return Service(
            name=name,
            group="spark",
            command=(
                *("/bin/bash", str(home / "bin/spark-class"), f"org.apache.spark.deploy.{kind}"),
                *("--host", host, "--webui-port", str(ui), *arguments),
            ),
            folder=own,
            address=f"http://{host}:{ui}",
            ports=(ui,) if port is None else (port, ui),
            environment=environment,
            probe=lambda: answers(f"http://{host}:{ui}/json/"),
            prepare=prepare,
        )

    port = settings.spark_master_port
    cores = ("--cores", str(settings.spark_worker_cores))
    memory = ("--memory", f"{settings.spark_worker_memory_mib}m")
    place = ("--work-dir", str(own / "work"), f"spark://{host}:{port}")
    return [
        service(
            "spark-master",
            settings.spark_master_ui_port,
            port,
            "master.Master",
            ("--port", str(port)),
        ),
        *(
            service(
                f"spark-worker-{number + 1}",
                settings.spark_worker_ui_port + number,
                None,
                "worker.Worker",
                (*cores, *memory, *place),
            )
            for number in range(settings.spark_workers)
        ),
    ]


def stream_checkpoint(settings: Settings, group: str) -> str:
    """Where Spark keeps its own checkpoint of a group's detection: a folder, or ``s3a://…``."""
    if settings.spark_checkpoint is None:
        return str(settings.home_path / "spark" / "checkpoints" / group)
    return re.sub(r"^s3://", "s3a://", settings.spark_checkpoint)


def session_folder(settings: Settings, checkpoint: str) -> Path:
    """Write the settings of a session of our own, for a stream; the folder that holds them."""
    host = settings.stack_host
    jars = resolve_jars(settings.cache_dir, ["spark"], settings.java_home)["spark"]
    spark_java(settings.java_home)
    properties = base_properties(master_url(settings), jars, settings.spark_job_ui_port, host)
    secrets = load_secrets(settings.home_path)
    if settings.spark_master is None and secrets is not None:
        properties |= _private(secrets)
    if is_on_s3(checkpoint):
        properties |= checkpoint_properties(s3_access(settings))
    folder = settings.home_path / "spark" / "conf"
    write_configuration(folder, properties, folder.with_name("spark.log"))
    return folder


def _private(secrets: StackSecrets) -> dict[str, str]:
    """Only who knows the home's secret may run code on this Spark."""
    return {
        "spark.authenticate": "true",
        "spark.master.rest.enabled": "false",
        "spark.authenticate.secret": secrets.spark_secret,
        "spark.worker.cleanup.enabled": "true",
        "spark.worker.ui.retainedExecutors": "20",
    }
