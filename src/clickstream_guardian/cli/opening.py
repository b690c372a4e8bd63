"""Opens the rooms a command needs, and closes them again; each is imported when it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clickstream_guardian.pipelines.home import Home
from clickstream_guardian.settings import Settings

if TYPE_CHECKING:
    from clickstream_guardian.detector.state import DetectorConfig
    from clickstream_guardian.pipelines.replay import Parts
    from clickstream_guardian.store import Store


def detector_config(settings: Settings) -> DetectorConfig:
    """Rules and numbers of the detector of clicks, as the settings say.

    A detector judges one kind of event: rules on purchases want a detector of their own.
    """
    from clickstream_guardian.detector.state import DetectorConfig
    from clickstream_guardian.events.fields import CLICK
    from clickstream_guardian.rules.loader import load_catalogue

    return DetectorConfig(
        rules=tuple(r for r in load_catalogue(settings.rules_dir) if r.events == CLICK.name),
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
def opened(settings: Settings) -> Iterator[Parts]:
    """Everything a pipeline works with; rules are read first, so a wrong one starts nothing."""
    from clickstream_guardian.engines.embedded.batch import DuckDbEngine
    from clickstream_guardian.lake.lake import open_lake
    from clickstream_guardian.metrics.loader import load_metrics
    from clickstream_guardian.pipelines.replay import Parts

    config = detector_config(settings)
    home = Home(settings.home_path)
    s3 = _s3_properties(settings)
    with (
        opened_store(settings) as store,
        open_lake(store.catalog_uri, settings.warehouse or home.warehouse, properties=s3) as lake,
        DuckDbEngine(
            lake,
            home.root / "tmp",
            settings.duckdb_threads,
            settings.duckdb_memory_mib * 1024**2,
            remote_files=lake.remote_files,
        ) as engine,
    ):
        yield Parts(home, store, lake, engine, tuple(load_metrics()), config)


def _s3_properties(settings: Settings) -> dict[str, str]:
    """How to reach the S3 of a warehouse that lies on one."""
    if not (settings.warehouse or "").startswith("s3://"):
        return {}
    from clickstream_guardian.stack.endpoints import lake_properties

    return lake_properties(settings)
