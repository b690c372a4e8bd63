"""A Spark session by the settings of a folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import SparkSession

from clickstream_guardian.engines.spark.configuration import (
    CATALOG,
    LakeAccess,
    base_properties,
    catalog_properties,
    write_configuration,
)

__all__ = [
    "CATALOG",
    "LakeAccess",
    "base_properties",
    "catalog_properties",
    "open_session",
    "write_configuration",
]


def open_session(
    folder: Path, name: str, more: Mapping[str, str] | None = None, java_home: Path | None = None
) -> SparkSession:
    """A session by the settings in a folder; the one that runs in this process, if one does.

    Args:
        folder: what ``write_configuration`` made.
        name: the application's name in Spark's UIs.
        more: settings for this session, no secrets among them: they are on the command line.
        java_home: JDK 17 or 21, if not the one on PATH.
    """
    # Spark's launcher reads these and nothing else tells it in time.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        os.environ["SPARK_CONF_DIR"] = str(folder)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        if java_home is not None:
            os.environ["JAVA_HOME"] = str(java_home)
    builder = SparkSession.builder.appName(name)
    for key, value in (more or {}).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
