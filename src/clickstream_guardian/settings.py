"""The one table of settings, and the only place that reads the environment.

Each setting is read from ``GUARDIAN_<NAME>``; a few familiar names (``DATABASE_URL``,
``REPLAY_SPEED``, ``KAFKA_BOOTSTRAP_SERVERS``, ``SCHEMA_REGISTRY_URL``) work as they are.
"""

from __future__ import annotations

from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from clickstream_guardian.errors import UsageError


class Settings(BaseSettings):
    """Every setting: meaning, unit, default (``docs/reference/settings.md`` is made of it)."""

    model_config = SettingsConfigDict(env_prefix="GUARDIAN_", frozen=True, extra="ignore")

    home: Annotated[Path, Field(description="Folder that holds everything of a run.")] = Path(
        ".guardian"
    )
    database_url: Annotated[
        SecretStr | None,
        Field(
            description="PostgreSQL to use instead of the embedded one (owner role).",
            validation_alias=AliasChoices("GUARDIAN_DATABASE_URL", "DATABASE_URL"),
        ),
    ] = None
    database_reader_url: Annotated[
        SecretStr | None,
        Field(
            description="The same PostgreSQL as a role that may only read the serving tables; "
            "without it the role guardian_reader is made, where that is allowed."
        ),
    ] = None
    replay_speed: Annotated[
        str,
        Field(
            description="Replay speed: `max`, or how many times faster than the events' own time.",
            validation_alias=AliasChoices("GUARDIAN_REPLAY_SPEED", "REPLAY_SPEED"),
        ),
    ] = "max"
    allowed_lateness_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="How much older than its partition's newest event an event may be "
            "and still count in detection.",
        ),
    ] = 10.0
    silence_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=86_400,
            description="A partition of a live log without a message for so long no longer holds "
            "windows open.",
        ),
    ] = 30.0
    max_rejected_ratio: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="A source with a greater share of rejected lines ends with exit code 3.",
        ),
    ] = 0.5
    evidence_sample_size: Annotated[
        int, Field(ge=1, le=500, description="Events kept as evidence with an anomaly.")
    ] = 100
    rules_dir: Annotated[
        Path | None,
        Field(description="Folder of rule files to use instead of the built-in catalogue."),
    ] = None
    duckdb_threads: Annotated[
        int | None,
        Field(ge=1, le=1024, description="Threads for metrics and queries; default: processors."),
    ] = None
    duckdb_memory_mib: Annotated[
        int,
        Field(ge=128, description="Memory for metrics and queries, in MiB; the rest is spilled."),
    ] = 2048
    api_port: Annotated[int, Field(ge=0, le=65535, description="Port of the API.")] = 8000
    api_connections: Annotated[
        int, Field(ge=1, le=100, description="Most database connections of the API.")
    ] = 8
    api_requests_per_second: Annotated[
        float,
        Field(gt=0, le=100_000, description="Requests per second that one API key may send."),
    ] = 100.0
    api_streams: Annotated[
        int, Field(ge=1, le=10_000, description="Most streams of changes open at once.")
    ] = 50
    decisions_mode: Annotated[
        Literal["shadow", "enforce"],
        Field(
            description="Whether `/decisions` is meant to be acted on: in `shadow` its plain list "
            "is comments alone."
        ),
    ] = "shadow"
    decision_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=31_536_000,
            description="Event time that a decision lives after its session was last flagged.",
        ),
    ] = 3600
    dashboard_port: Annotated[int, Field(ge=0, le=65535, description="Port of the dashboard.")] = (
        8501
    )
    bind_host: Annotated[str, Field(description="Address that API and dashboard bind.")] = (
        "127.0.0.1"
    )
    alert_channels: Annotated[
        SecretStr | None,
        Field(
            description="Where alerts go: addresses of Apprise with spaces between, tried in this "
            "order; what none takes goes to `<home>/alerts.jsonl`."
        ),
    ] = None
    alert_least_severity: Annotated[
        Literal["low", "medium", "high", "critical"],
        Field(description="What is less severe raises no alert."),
    ] = "high"
    alert_cooldown_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=86_400,
            description="Least time between two alerts of one rule and session (or subject).",
        ),
    ] = 900.0
    alert_interval_seconds: Annotated[
        float, Field(gt=0, le=3600, description="Pause between two looks for alerts.")
    ] = 5.0
    alert_lag_messages: Annotated[
        int, Field(ge=0, description="More messages yet to be judged than this raise an alert.")
    ] = 100_000
    alert_silent_seconds: Annotated[
        float,
        Field(gt=0, description="A live detector that writes nothing for so long raises an alert."),
    ] = 120.0
    alert_dead_letters_per_hour: Annotated[
        int, Field(ge=0, description="More dead letters in an hour than this raise an alert.")
    ] = 1000
    alert_batch_due_hours: Annotated[
        float,
        Field(
            ge=0,
            le=48,
            description="Hours after midnight UTC by which the day before must be computed, where "
            "events are live.",
        ),
    ] = 6.0
    alert_pool_ratio: Annotated[
        float,
        Field(gt=0, le=1, description="Share of database connections in use that raises an alert."),
    ] = 0.8
    log: Annotated[
        Literal["plain", "json"],
        Field(
            description="`json`: what happens is told on standard error as one JSON object a line, "
            "in the events of docs/operations/MONITORING_STRATEGY.md, instead of in words."
        ),
    ] = "plain"
    metrics_port: Annotated[
        int | None,
        Field(
            ge=0,
            le=65535,
            description="Serve Prometheus metrics of `replay`, `detect` and `produce` there, while "
            "they run; "
            "0 chooses one; not at all by default.",
        ),
    ] = None
    cache_dir: Annotated[
        Path, Field(description="Folder that keeps downloaded servers between homes.")
    ] = Path("~/.cache/clickstream-guardian")
    java_home: Annotated[
        Path | None,
        Field(
            description="Java to use for the stack; default: the one on PATH.",
            validation_alias=AliasChoices("GUARDIAN_JAVA_HOME", "JAVA_HOME"),
        ),
    ] = None
    warehouse: Annotated[
        str | None,
        Field(description="Where the lake lies; default: `<home>/lake`; on S3: `s3://…`."),
    ] = None
    stack_host: Annotated[str, Field(description="Address that the servers of the stack bind.")] = (
        "127.0.0.1"
    )
    kafka_bootstrap_servers: Annotated[
        str | None,
        Field(
            description="Kafka to use; default: the three brokers of `guardian stack`.",
            validation_alias=AliasChoices(
                "GUARDIAN_KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BOOTSTRAP_SERVERS"
            ),
        ),
    ] = None
    schema_registry_url: Annotated[
        str | None,
        Field(
            description="Confluent-compatible registry to use; default: that of `guardian stack`.",
            validation_alias=AliasChoices("GUARDIAN_SCHEMA_REGISTRY_URL", "SCHEMA_REGISTRY_URL"),
        ),
    ] = None
    kafka_connect_url: Annotated[
        str | None, Field(description="Kafka Connect to use; default: that of `guardian stack`.")
    ] = None
    kafka_port: Annotated[
        int, Field(ge=1, le=65533, description="Port of the first broker; the next two follow.")
    ] = 9092
    kafka_controller_port: Annotated[
        int,
        Field(ge=1, le=65533, description="Controller port of the first broker; two more follow."),
    ] = 19092
    kafka_metrics_port: Annotated[
        int | None,
        Field(
            ge=1,
            le=65533,
            description="Serve Prometheus metrics of the stack's first broker there, the next two "
            "follow; not at all by default.",
        ),
    ] = None
    schema_registry_port: Annotated[
        int, Field(ge=1, le=65535, description="Port of the schema registry.")
    ] = 8081
    connect_port: Annotated[int, Field(ge=1, le=65535, description="Port of Kafka Connect.")] = 8083
    s3_port: Annotated[int, Field(ge=1, le=65535, description="Port of the S3 server.")] = 8333
    s3_console_port: Annotated[
        int, Field(ge=1, le=65535, description="Port of the S3 server's console.")
    ] = 8888
    postgres_port: Annotated[
        int, Field(ge=1, le=65535, description="Port of the stack's PostgreSQL.")
    ] = 5432
    spark_master: Annotated[
        str | None,
        Field(
            description="Spark to use, such as `local[2]`; default: for detection that of "
            "`guardian stack`, for a batch the process itself."
        ),
    ] = None
    spark_master_port: Annotated[
        int, Field(ge=1, le=65535, description="Port of Spark's master.")
    ] = 7077
    spark_master_ui_port: Annotated[
        int, Field(ge=1, le=65535, description="Port of the master's pages.")
    ] = 8080
    spark_worker_ui_port: Annotated[
        int,
        Field(ge=1, le=65535, description="Port of the first worker's pages; the others' follow."),
    ] = 8084
    spark_job_ui_port: Annotated[
        int, Field(ge=1, le=65535, description="Port of a running Spark job's pages.")
    ] = 4040
    spark_workers: Annotated[
        int,
        Field(ge=1, le=16, description="Workers of the stack's Spark; of two, one may be killed."),
    ] = 2
    spark_worker_cores: Annotated[
        int, Field(ge=1, le=1024, description="Tasks that each of them runs at once.")
    ] = 1
    spark_worker_memory_mib: Annotated[
        int, Field(ge=512, description="Memory of each worker's executors, in MiB.")
    ] = 2048
    spark_checkpoint: Annotated[
        str | None,
        Field(
            description="Spark's own checkpoint of detection: a folder, or `s3://bucket/…` on the "
            "S3 of the stack or of `GUARDIAN_S3_ENDPOINT`; default: in the home."
        ),
    ] = None
    spark_trigger_seconds: Annotated[
        float,
        Field(ge=0, le=600, description="Least time between two batches of detection in Spark."),
    ] = 0.3
    spark_most_per_trigger: Annotated[
        int, Field(ge=1000, description="Most messages in a batch of detection in Spark.")
    ] = 300_000
    s3_server: Annotated[
        Literal["seaweedfs", "minio", "none"],
        Field(description="S3 server of the stack; `none` when `GUARDIAN_S3_ENDPOINT` is another."),
    ] = "seaweedfs"
    s3_endpoint: Annotated[
        str | None, Field(description="S3 to use; default: that of `guardian stack`.")
    ] = None
    s3_access_key: Annotated[str | None, Field(description="Access key of that S3.")] = None
    s3_secret_key: Annotated[SecretStr | None, Field(description="Secret key of that S3.")] = None
    s3_bucket: Annotated[str, Field(description="Bucket that holds the lake.")] = "lake"
    batch_engine: Annotated[
        Literal["embedded", "spark"],
        Field(description="What `guardian batch` computes with: DuckDB, or Spark."),
    ] = "embedded"
    spark_batch_memory_mib: Annotated[
        int, Field(ge=512, description="Memory of a batch job on Spark, in MiB.")
    ] = 4096
    airflow_port: Annotated[int, Field(ge=1, le=65535, description="Port of Airflow.")] = 8082
    airflow_retry_seconds: Annotated[
        int, Field(ge=1, le=86400, description="How long Airflow waits to try a failed task again.")
    ] = 300
    schedule_from: Annotated[
        date | None,
        Field(
            description="First UTC day that Airflow computes by itself; default: the one on which "
            "it was first started."
        ),
    ] = None
    topic_partitions: Annotated[
        int, Field(ge=1, le=1024, description="Partitions of each event topic, the same for all.")
    ] = 4
    landing_commit_seconds: Annotated[
        int, Field(ge=1, le=3600, description="How often Kafka Connect commits to the lake.")
    ] = 10
    delivery_timeout_seconds: Annotated[
        int,
        Field(ge=1, le=86400, description="How long a producer waits out a broker's absence."),
    ] = 120

    @cached_property
    def home_path(self) -> Path:
        """The home as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def metrics_targets(self) -> Path:
        """Folder in which processes that serve metrics leave a file for Prometheus."""
        return self.home_path / "metrics"

    @property
    def kafka_servers(self) -> str:
        """Bootstrap servers: those given, else the stack's three brokers."""
        ports = range(self.kafka_port, self.kafka_port + 3)
        stack = ",".join(f"{self.stack_host}:{port}" for port in ports)
        return self.kafka_bootstrap_servers or stack

    @property
    def registry_url(self) -> str:
        """Confluent-compatible base URL of the schema registry."""
        stack = f"http://{self.stack_host}:{self.schema_registry_port}/apis/ccompat/v7"
        return (self.schema_registry_url or stack).rstrip("/")

    @property
    def connect_url(self) -> str:
        """Base URL of Kafka Connect."""
        stack = f"http://{self.stack_host}:{self.connect_port}"
        return (self.kafka_connect_url or stack).rstrip("/")

    @property
    def s3_url(self) -> str:
        """Endpoint of the S3 that holds the lake."""
        return (self.s3_endpoint or f"http://{self.stack_host}:{self.s3_port}").rstrip("/")


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment; ``overrides`` (command-line options) win.

    Raises:
        UsageError: a value does not fit its setting.
    """
    try:
        return Settings(**{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        name = (
            name
            if name.startswith(("GUARDIAN_", "DATABASE_", "REPLAY_", "KAFKA_", "SCHEMA_"))
            else f"GUARDIAN_{name}"
        )
        raise UsageError(
            f"Setting {name}={first['input']!r} is not usable: {first['msg'].lower()}; "
            "see docs/reference/settings.md."
        ) from error
