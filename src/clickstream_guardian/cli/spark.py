"""Opens Spark for a batch: in this process's own machine, or on the cluster that is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clickstream_guardian.engines.spark.batch import SparkEngine
from clickstream_guardian.engines.spark.configuration import (
    base_properties,
    catalog_properties,
    write_configuration,
)
from clickstream_guardian.engines.spark.session import open_session
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.endpoints import spark_lake
from clickstream_guardian.stack.jars import resolve_jars
from clickstream_guardian.stack.java import spark_java


@contextmanager
def opened_spark(settings: Settings, lake: Lake) -> Iterator[SparkEngine]:
    """The Spark engine over the lake; under ``spark-submit`` by the settings of that.

    Raises:
        UsageError: Maven or Java is missing, or the catalog of a lake on S3 is not reached by TCP.
    """
    spark_java(settings.java_home)
    jars = resolve_jars(settings.cache_dir, ("spark",), settings.java_home)["spark"]
    properties = base_properties(
        settings.spark_master or "local[*]", jars, settings.spark_job_ui_port, settings.stack_host
    )
    properties["spark.driver.memory"] = f"{settings.spark_batch_memory_mib}m"
    if lake.remote_files is not None:
        properties |= catalog_properties(spark_lake(settings))
    folder = settings.home_path / "spark" / "batch"
    write_configuration(folder, properties, folder.with_name("batch.log"))
    session = open_session(folder, "guardian batch", java_home=settings.java_home)
    try:
        yield SparkEngine(session, lake)
    finally:
        session.stop()
