"""Opens the rooms a command needs, and closes them again; each is imported when it is opened."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from clickstream_guardian.pipelines.home import Home
from clickstream_guardian.settings import Settings

if TYPE_CHECKING:
    from clickstream_guardian.detector.state import DetectorConfig
    from clickstream_guardian.engines.days import MetricEngine
    from clickstream_guardian.engines.embedded.connection import DuckDbLimits
    from clickstream_guardian.lake.lake import Lake
    from clickstream_guardian.pipelines.replay import Parts
    from clickstream_guardian.store import Store


def detector_config(settings: Settings) -> DetectorConfig:
    """Rules and numbers of the detectors, as the settings say."""
    from clickstream_guardian.detector.state import DetectorConfig
    from clickstream_guardian.rules.loader import load_catalogue

    return DetectorConfig(
        rules=load_catalogue(settings.rules_dir),
        lateness_us=round(settings.allowed_lateness_seconds * 1e6),
        sample_size=settings.evidence_sample_size,
    )


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """The serving database alone."""
    from clickstream_guardian.store import open_store

    Home(settings.home_path).prepare()
    with open_store(settings) as store:
        yield store


@contextmanager
def opened(settings: Settings, engine: str = "embedded") -> Iterator[Parts]:
    """Everything a pipeline works with; rules are read first, so a wrong one starts nothing.

    Args:
        settings: where everything is.
        engine: what computes days, ``embedded`` or ``spark``.
    """
    config = detector_config(settings)
    _load_meanwhile("clickstream_guardian.pipelines.replay", "clickstream_guardian.metrics.loader")
    with (
        opened_store(settings) as store,
        opened_beside(store, settings, config, engine) as parts,
    ):
        yield parts


@contextmanager
def opened_beside(
    store: Store, settings: Settings, config: DetectorConfig, engine: str = "embedded"
) -> Iterator[Parts]:
    """Everything else that a pipeline works with, beside a database that is open."""
    with (
        _opened_lake(settings, store) as lake,
        _opened_engine(settings, engine, lake) as host,
    ):
        from clickstream_guardian.metrics.loader import load_metrics
        from clickstream_guardian.pipelines.replay import Parts

        home = Home(settings.home_path)
        yield Parts(home, store, lake, host, tuple(load_metrics()), config)


def _load_meanwhile(*modules: str) -> None:
    """Load what will be needed while the database starts; an error arises where it is needed."""

    def load() -> None:
        with suppress(Exception):
            for name in modules:
                import_module(name)

    threading.Thread(target=load, name="loading").start()


@contextmanager
def opened_for_upkeep(settings: Settings, work: str) -> Iterator[tuple[Store, Lake]]:
    """The database and the lake; one on a local disk with the writer's lock of its home."""
    with (
        opened_store(settings) as store,
        _opened_lake(settings, store) as lake,
        ExitStack() as held,
    ):
        if lake.remote_files is None:
            held.enter_context(Home(settings.home_path).single_writer(work))
        yield store, lake


def _opened_lake(settings: Settings, store: Store) -> Lake:
    from clickstream_guardian.lake.lake import open_lake

    place = settings.warehouse or Home(settings.home_path).warehouse
    return open_lake(store.catalog_uri, place, properties=_s3_properties(settings))


def duckdb_limits(settings: Settings, lake: Lake) -> DuckDbLimits:
    """What DuckDB may use, as the settings say."""
    from clickstream_guardian.engines.embedded.connection import DuckDbLimits

    return DuckDbLimits(
        settings.home_path / "tmp",
        settings.duckdb_threads or os.cpu_count() or 1,
        settings.duckdb_memory_mib * 1024**2,
        lake.remote_files,
    )


def _opened_engine(
    settings: Settings, engine: str, lake: Lake
) -> AbstractContextManager[MetricEngine]:
    if engine == "spark":
        from clickstream_guardian.cli.spark import opened_spark

        return opened_spark(settings, lake)
    from clickstream_guardian.engines.embedded.batch import DuckDbEngine

    limits = duckdb_limits(settings, lake)
    return DuckDbEngine(
        lake, limits.temp_dir, limits.threads, limits.memory_bytes, limits.remote_files
    )


def _s3_properties(settings: Settings) -> dict[str, str]:
    """How to reach the S3 of a warehouse that lies on one."""
    if not (settings.warehouse or "").startswith("s3://"):
        return {}
    from clickstream_guardian.stack.endpoints import lake_properties

    return lake_properties(settings)
