"""What every process tells Prometheus of itself, and the port it is scraped at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, start_http_server

from clickstream_guardian import __version__
from clickstream_guardian.settings import Settings


def process_registry() -> CollectorRegistry:
    """A registry that holds the process's memory, processor time and files, and the version."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    build = Gauge("guardian_build", "Always 1.", ["version"], registry=registry)
    build.labels(__version__).set(1)
    return registry


@contextmanager
def served_metrics(
    registry: CollectorRegistry, host: str, port: int, targets: Path, job: str
) -> Iterator[str]:
    """Serve a registry while the block runs; the value is its address for a person.

    Prometheus finds it by a file in the folder ``targets`` (``file_sd_configs``). The file goes
    when the block ends in order. What was killed, or failed, leaves it: Prometheus then asks in
    vain, which is an alert, until the process is started again or the file removed. A port that
    was chosen freely is told to nobody: the next start would have another.

    Args:
        registry: what to serve at ``/metrics``.
        host: address to listen at.
        port: to listen at; 0 chooses one.
        targets: made if it is missing.
        job: the process's part, such as ``guardian_detect``.
    """
    server, _ = start_http_server(port, host, registry)
    address = f"{host}:{server.server_port}"
    file = targets / f"{job}-{port}.json"
    if port:
        targets.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps([{"targets": [address], "labels": {"job": job}}]) + "\n")
        fresh.replace(file)
    try:
        yield f"http://{address}/metrics"
    except KeyboardInterrupt:
        file.unlink(missing_ok=True)
        raise
    file.unlink(missing_ok=True)


@contextmanager
def metrics_as_set(
    registry: CollectorRegistry, settings: Settings, job: str
) -> Iterator[str | None]:
    """``served_metrics`` at the settings' port; the value is None where they name none."""
    if settings.metrics_port is None:
        yield None
        return
    place = (settings.bind_host, settings.metrics_port, settings.metrics_targets)
    with served_metrics(registry, *place, job) as address:
        yield address
