"""Opens the rooms a command needs, and closes them again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clickstream_guardian.detector.state import DetectorConfig
from clickstream_guardian.engines.embedded.batch import DuckDbEngine
from clickstream_guardian.lake.lake import open_lake
from clickstream_guardian.metrics.loader import load_metrics
from clickstream_guardian.pipelines.home import Home
from clickstream_guardian.pipelines.replay import Parts
from clickstream_guardian.rules.loader import load_catalogue
from clickstream_guardian.settings import Settings
from clickstream_guardian.store import Store, open_store


def detector_config(settings: Settings) -> DetectorConfig:
    """Rules and numbers of the detector, as the settings say."""
    return DetectorConfig(
        rules=load_catalogue(settings.rules_dir),
        lateness_us=round(settings.allowed_lateness_seconds * 1e6),
        sample_size=settings.evidence_sample_size,
    )


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """The serving database alone."""
    Home(settings.home_path).prepare()
    with open_store(settings) as store:
        yield store


@contextmanager
def opened(settings: Settings) -> Iterator[Parts]:
    """Everything a pipeline works with; rules are read first, so a wrong one starts nothing."""
    config = detector_config(settings)
    home = Home(settings.home_path)
    home.prepare()
    with (
        open_store(settings) as store,
        open_lake(store.catalog_uri, home.warehouse) as lake,
        DuckDbEngine(lake, home.root / "tmp") as engine,
    ):
        yield Parts(home, store, lake, engine, tuple(load_metrics()), config)
