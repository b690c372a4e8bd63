"""Where the cluster's database, catalog and lake are, and what opens them."""

from __future__ import annotations

import shlex
from pathlib import Path

from clickstream_guardian.engines.spark.configuration import LakeAccess, S3Access
from clickstream_guardian.errors import UsageError
from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.postgres import database_url
from clickstream_guardian.stack.s3 import REGION, s3_files, s3_keys
from clickstream_guardian.stack.secrets import StackSecrets, load_secrets


def cluster_secrets(settings: Settings) -> StackSecrets:
    """The home's secrets.

    Raises:
        UsageError: no stack was ever made here.
    """
    secrets = load_secrets(settings.home_path)
    if secrets is None:
        raise UsageError(
            f"There is no stack in {settings.home_path}; make one with `guardian stack up`."
        )
    return secrets


def cluster_database_url(settings: Settings) -> str:
    """The database of the cluster profile: ``DATABASE_URL`` if given, else the stack's."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return database_url(settings, cluster_secrets(settings))


def catalog_uri(settings: Settings) -> str:
    """The same database as PyIceberg's SqlCatalog wants it."""
    return cluster_database_url(settings).replace("postgresql://", "postgresql+psycopg://", 1)


def warehouse(settings: Settings) -> str:
    """Where the cluster's lake lies."""
    return settings.warehouse or f"s3://{settings.s3_bucket}/warehouse"


def s3_login(settings: Settings) -> tuple[str, str]:
    """Access key and secret key of the cluster's S3: those given, else the stack's own."""
    given = settings.s3_secret_key
    if settings.s3_access_key is not None and given is not None:
        return settings.s3_access_key, given.get_secret_value()
    return s3_keys(settings, cluster_secrets(settings))


def lake_properties(settings: Settings) -> dict[str, str]:
    """What PyIceberg needs to read and write a lake on the cluster's S3."""
    access, secret = s3_login(settings)
    return {
        "s3.endpoint": settings.s3_url,
        "s3.access-key-id": access,
        "s3.secret-access-key": secret,
        "s3.region": REGION,
        "s3.path-style-access": "true",
        "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO",
    }


def s3_access(settings: Settings) -> S3Access:
    """What Spark needs to reach the cluster's S3."""
    return S3Access(settings.s3_url, REGION, *s3_login(settings))


def spark_lake(settings: Settings) -> LakeAccess:
    """What Spark needs to reach the cluster's lake."""
    place = warehouse(settings)
    s3 = s3_access(settings) if "://" in place else None
    return LakeAccess(cluster_database_url(settings), place, s3)


def make_bucket(settings: Settings) -> None:
    """Make the bucket of the lake, if it is not there."""
    s3_files(settings, s3_login(settings)).create_dir(settings.s3_bucket)


def environment(settings: Settings) -> dict[str, str]:
    """Variables that make every other command work on the cluster's database and lake."""
    access, secret = s3_login(settings)
    return {
        "DATABASE_URL": cluster_database_url(settings),
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_servers,
        "SCHEMA_REGISTRY_URL": settings.registry_url,
        "GUARDIAN_WAREHOUSE": warehouse(settings),
        "GUARDIAN_S3_ENDPOINT": settings.s3_url,
        "GUARDIAN_S3_ACCESS_KEY": access,
        "GUARDIAN_S3_SECRET_KEY": secret,
        "SPARK_CONF_DIR": str(spark_configuration(settings)),
        "SPARK_LOCAL_IP": settings.stack_host,
    }


def spark_configuration(settings: Settings) -> Path:
    """Folder of the settings that Spark's servers, sessions and ``spark-submit`` share."""
    return settings.home_path / "stack" / "spark" / "conf"


def as_exports(variables: dict[str, str]) -> str:
    """Lines for a shell's ``eval``."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
