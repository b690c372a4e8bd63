"""The state of the data as Prometheus gauges."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

Gauges = dict[str, tuple[str, float]]


def gauges(status: Mapping[str, Any] | None, today: date) -> Gauges:
    """Gauges (meaning and value by name) of ``/status``; None where the database is away.

    The day that runs has no numbers yet, or old ones: it does not count as dirty.
    """
    found: Gauges = {
        "guardian_database_up": ("Whether the database answers.", float(status is not None))
    }
    if status is None:
        return found
    events, batch, balance = status["events"], status["batch"], status["reconciliation"]
    values: dict[str, tuple[str, float | None]] = {
        "guardian_events_received": ("Lines or messages read.", events["received"]),
        "guardian_events_landed": ("Rows in the lake.", events["landed"]),
        "guardian_events_duplicate": ("Rows that repeat an event.", events["duplicates"]),
        "guardian_events_rejected": ("Could not be read as events.", events["rejected"]),
        "guardian_events_late": ("Came too late for detection.", events["late"]),
        "guardian_lag_events": ("Events on the log yet to be read.", status["lag"]),
        "guardian_newest_event_timestamp_seconds": (
            "Event time of the newest event seen.",
            _timestamp(status["newest_event_at"]),
        ),
        "guardian_days_computed": ("Days with metrics.", batch["day_count"]),
        "guardian_days_dirty": (
            "Days before today whose rows in the lake differ from what was computed.",
            None
            if batch["dirty_days"] is None
            else sum(day < today.isoformat() for day in batch["dirty_days"]),
        ),
        "guardian_batch_finished_timestamp_seconds": (
            "When the last run of the daily metrics ended.",
            _timestamp(batch["last_finished_at"]),
        ),
        "guardian_reconciliation_difference": (
            "Received minus landed minus rejected; 0 is right.",
            balance["difference"] if balance else None,
        ),
    }
    if (run := batch["last_run"]) is not None:
        values |= {
            "guardian_batch_failed": ("Whether the last `guardian batch` failed.", run["failed"]),
            "guardian_batch_seconds": ("How long it took.", run["seconds"]),
            "guardian_batch_days": ("Days it computed.", run["day_count"]),
        }
    for name, (meaning, value) in values.items():
        if value is not None:
            found[name] = (meaning, float(value))
    return found


def _timestamp(instant: str | None) -> float | None:
    return None if instant is None else datetime.fromisoformat(instant).timestamp()
