"""The settings of a Spark as a private file, so that no secret is on a command line.

The folder serves the servers, sessions and ``spark-submit`` alike: ``SPARK_CONF_DIR`` names it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from clickstream_guardian.errors import UsageError

CATALOG = "iceberg"
"""The lake's catalog in Spark; Iceberg's JDBC catalog keys its rows by this name."""

_BASE = {
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
    "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
    "spark.ui.showConsoleProgress": "false",
    "spark.redaction.regex": "(?i)secret|password|token|access[.-]?key",
    # Hadoop's own local file system forks a process for each file it creates.
    "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem",
}
_PATTERN = "%d{yyyy-MM-dd HH:mm:ss} %p %c{1}: %m%n%ex{30}"
_TO_STDERR = f"""\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.target = SYSTEM_ERR
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = {_PATTERN}
"""
_TO_FILE = f"""\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = RollingFile
appender.out.name = out
appender.out.fileName = {{file}}
appender.out.filePattern = {{file}}.%i
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = {_PATTERN.replace("{", "{{").replace("}", "}}")}
appender.out.policies.type = SizeBasedTriggeringPolicy
appender.out.policies.size = 10MB
appender.out.strategy.type = DefaultRolloverStrategy
appender.out.strategy.max = 3
"""


@dataclass(frozen=True)
class S3Access:
    """An S3 server, addressed by path, and the login to it."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class LakeAccess:
    """What Spark needs to reach the lake.

    Attributes:
        database_url: the catalog's PostgreSQL, ``postgresql://user:password@host:port/name``.
        warehouse: a folder, or ``s3://…``.
        s3: set when the warehouse is on S3.
    """

    database_url: str
    warehouse: str
    s3: S3Access | None = None


def base_properties(master: str, jars: Path, ui_port: int, host: str) -> dict[str, str]:
    """The settings of every session.

    Args:
        master: ``local[2]``, ``spark://host:port`` or another cluster's.
        jars: folder of the Java set ``spark``.
        ui_port: port of the job's own UI.
        host: address that driver and UI bind.
    """
    return {
        **_BASE,
        "spark.master": master,
        "spark.driver.extraClassPath": f"{jars}/*",
        "spark.executor.extraClassPath": f"{jars}/*",
        "spark.pyspark.python": sys.executable,
        "spark.driver.host": host,
        "spark.driver.bindAddress": host,
        "spark.ui.port": str(ui_port),
    }


def catalog_properties(lake: LakeAccess) -> dict[str, str]:
    """The lake as the catalog ``iceberg``: ``SELECT … FROM iceberg.raw.clicks``.

    Raises:
        UsageError: the database is not reached by TCP.
    """
    url = urlsplit(lake.database_url)
    if not url.hostname:
        raise UsageError(
            "Spark reaches the catalog by TCP only: set DATABASE_URL to "
            "postgresql://user:password@host:port/name, or use the database of `guardian stack`."
        )
    options = {
        "type": "jdbc",
        "uri": f"jdbc:postgresql://{url.hostname}:{url.port or 5432}{url.path}",
        "jdbc.user": unquote(url.username or ""),
        "jdbc.password": unquote(url.password or ""),
        "jdbc.schema-version": "V1",
        "warehouse": lake.warehouse,
    }
    if lake.s3 is not None:
        options |= {
            "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            "s3.endpoint": lake.s3.endpoint,
            "s3.path-style-access": "true",
            "s3.access-key-id": lake.s3.access_key,
            "s3.secret-access-key": lake.s3.secret_key,
            "client.region": lake.s3.region,
        }
    catalog = f"spark.sql.catalog.{CATALOG}"
    named = {f"{catalog}.{name}": value for name, value in options.items()}
    return {catalog: "org.apache.iceberg.spark.SparkCatalog", **named}


def is_on_s3(checkpoint: str) -> bool:
    """Whether a stream's checkpoint is kept on S3."""
    return checkpoint.startswith("s3a://")


def checkpoint_properties(s3: S3Access) -> dict[str, str]:
    """What Spark needs to keep a stream's checkpoint at ``s3a://…``."""
    options = {
        "endpoint": s3.endpoint,
        "endpoint.region": s3.region,
        "path.style.access": "true",
        "access.key": s3.access_key,
        "secret.key": s3.secret_key,
    }
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in options.items()}


def write_configuration(
    folder: Path, properties: Mapping[str, str], log: Path | None = None
) -> None:
    """Write ``spark-defaults.conf`` and the logging of a Spark, readable by its owner alone.

    Args:
        folder: made if it is not there.
        properties: Spark's settings.
        log: where warnings go; standard error by default.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = [f"{name}={_escaped(value)}" for name, value in sorted(properties.items())]
    _write_private(folder / "spark-defaults.conf", "\n".join(lines) + "\n")
    logging = _TO_STDERR if log is None else _TO_FILE.format(file=log)
    _write_private(folder / "log4j2.properties", logging)


def _escaped(value: str) -> str:
    """A value of a Java properties file."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _write_private(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    temporary.replace(file)
