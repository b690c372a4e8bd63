"""Structured logs: one JSON object a line on standard error, in one vocabulary of events.

Off unless ``GUARDIAN_LOG=json`` says otherwise: a person reads the command's own words. Whoever
has something to say calls ``tell``; what a library logs comes as the event ``library``.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from clickstream_guardian.detector.model import Anomaly

_LOGGER = logging.getLogger("clickstream_guardian")


class Event(StrEnum):
    """Everything that Guardian itself tells of, with the fields beside it."""

    COMMAND_STARTED = "command_started"
    """``command``."""
    COMMAND_ENDED = "command_ended"
    """``command``, ``seconds``; it did its work."""
    COMMAND_FAILED = "command_failed"
    """``sentence`` (what is wrong, where, and the remedy), ``exit_code``."""
    WORK_STARTED = "work_started"
    """``work``, and ``total`` in its own unit; a step of a replay."""
    REPLAY_PROGRESS = "replay_progress"
    """``events`` judged so far, ``behind_seconds``; every 10 s."""
    DETECTION_PROGRESS = "detection_progress"
    """``messages`` judged so far, ``lag_messages``; every 10 s."""
    ANOMALY_FOUND = "anomaly_found"
    """``anomaly_id``, ``rule``, ``severity``, ``session_id``, ``crossed_at``, ``explanation``."""
    BUCKETS_OWNED = "buckets_owned"
    """``buckets``: the partitions that this process judges from now on."""
    WAITING = "waiting"
    """``reason``: something is away, and is tried again."""
    NOTED = "noted"
    """``sentence``: a remark of live detection."""
    ALERT_TOLD = "alert_told"
    """``title``, ``severity``, ``channel`` (``file`` if none took it), ``attempts``."""
    LIBRARY = "library"
    """``logger``, ``message``, ``error``: what a library, or the API of a request, had to say."""


def configure(how: Literal["plain", "json"]) -> None:
    """Log from now on: as JSON on standard error, or not at all beside what commands print."""
    if how == "plain":
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    _LOGGER.setLevel(logging.INFO)


def is_json() -> bool:
    """Whether a machine reads what is logged."""
    return _LOGGER.isEnabledFor(logging.INFO)


def tell(event: Event, *, failed: bool = False, **fields: object) -> None:
    """Log an event with its fields."""
    level = logging.ERROR if failed else logging.INFO
    _LOGGER.log(level, event.value, extra={"guardian_event": event, "guardian_fields": fields})


def tell_anomaly(anomaly: Anomaly) -> None:
    """Log an anomaly; there may be very many, and mostly nobody reads along."""
    if not is_json():
        return
    tell(
        Event.ANOMALY_FOUND,
        anomaly_id=anomaly.anomaly_id,
        rule=anomaly.rule,
        severity=anomaly.severity,
        session_id=anomaly.session_id,
        crossed_at=anomaly.first_crossed_at.isoformat(),
        explanation=anomaly.explanation,
    )


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        head = {"at": at.replace("+00:00", "Z"), "level": record.levelname.lower()}
        event: Event | None = getattr(record, "guardian_event", None)
        if event is not None:
            fields: dict[str, Any] = record.__dict__["guardian_fields"]
            return json.dumps(head | {"event": event.value} | fields, default=str)
        said = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(head | {"event": Event.LIBRARY.value} | said)
