"""Waits until what is on the log is judged, or landed."""

from __future__ import annotations

import psycopg

from clickstream_guardian.chaos.cluster.detection import Detection, positions
from clickstream_guardian.chaos.cluster.log import ends
from clickstream_guardian.events.fields import CLICK
from clickstream_guardian.lake.lake import Lake
from clickstream_guardian.settings import Settings
from clickstream_guardian.stack.landing import audit


def wait_landed(detection: Detection, settings: Settings, lake: Lake) -> None:
    """Until every message is in the lake, as an event or as a dead letter."""
    detection.wait(lambda: not any(row.missing for row in audit(settings, lake)))


def wait_judged(detection: Detection, settings: Settings) -> None:
    """Until every message is judged and every window is closed."""
    wait_saved(detection, settings)
    detection.wait(lambda: _open_windows(detection) == 0)


def wait_saved(detection: Detection, settings: Settings) -> None:
    """Until every message is judged."""
    due = ends(settings)

    def saved() -> bool:
        try:
            with psycopg.connect(detection.database, autocommit=True) as connection:
                found = positions(connection, detection.group)
        except psycopg.Error:
            return False
        return {place: at for (topic, place), at in found.items() if topic == CLICK.topic} == due

    detection.wait(saved)


def _open_windows(detection: Detection) -> int | None:
    """Anomalies whose windows are not closed; None while the database is away."""
    query = "SELECT count(*) FROM anomaly_sessions WHERE status = 'open'"
    try:
        with psycopg.connect(detection.database, autocommit=True) as connection:
            found = connection.execute(query).fetchone()
    except psycopg.Error:
        return None
    return found[0] if found else None
