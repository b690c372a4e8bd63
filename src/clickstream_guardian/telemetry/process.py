"""What every process tells Prometheus of itself, and the port it is scraped at."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, start_http_server

from clickstream_guardian import __version__


def process_registry() -> CollectorRegistry:
    """A registry that holds the process's memory, processor time and files, and the version."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    build = Gauge("guardian_build", "Always 1.", ["version"], registry=registry)
    build.labels(__version__).set(1)
    return registry


def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> int:
    """Serve a registry at ``/metrics`` from now on; the port, chosen freely for 0."""
    server, _ = start_http_server(port, host, registry)
    return int(server.server_port)
