"""One warm Spark session for every test that hosts something in Spark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Spark on two threads of this process, without a network of its own."""
    from clickstream_guardian.engines.spark.configuration import (
        base_properties,
        write_configuration,
    )
    from clickstream_guardian.engines.spark.session import open_session
    from clickstream_guardian.settings import load_settings
    from clickstream_guardian.stack.jars import resolve_jars

    settings = load_settings()
    jars = resolve_jars(settings.cache_dir, ("spark",), settings.java_home)["spark"]
    folder: Path = tmp_path_factory.mktemp("spark")
    properties = base_properties("local[2]", jars, 0, "127.0.0.1") | {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "2g",
    }
    write_configuration(folder, properties, folder / "spark.log")
    session = open_session(folder, "tests", java_home=settings.java_home)
    yield session
    session.stop()
