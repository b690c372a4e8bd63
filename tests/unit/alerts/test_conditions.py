"""Each condition from its limit on, and not before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clickstream_guardian.alerts.conditions import Pool, Seen, Thresholds, conditions

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
LIMITS = Thresholds(lag=100, freshness_seconds=60, dead_letters_per_hour=10)


def detector(**values: object) -> dict[str, Any]:
    made = {"group": "live", "lag": 50, "updated_at": NOW.isoformat(), "watermark_at": None}
    return made | {"rejected_by_reason": {}} | values


def seen(*detectors: dict[str, Any], **status: object) -> Seen:
    made: dict[str, Any] = {
        "detectors": detectors,
        "events": {"rejected": 0},
        "reconciliation": {"balanced": True, "difference": 0},
        "batch": {"newest_dt": "2026-01-04"},
    }
    return Seen(NOW, made | status, Pool(10, 100), rejected_before=0)


def found(one: Seen) -> list[str]:
    return [f"{c.about.rule} {c.about.key}" for c in conditions(one, LIMITS)]


def ago(**time: float) -> str:
    return (NOW - timedelta(**time)).isoformat()


def test_all_is_well() -> None:
    assert found(seen(detector(), detector())) == []


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (seen(detector(lag=51), detector()), ["lag live"]),
        (seen(detector(updated_at=ago(seconds=61))), ["freshness live"]),
        (seen(detector(updated_at=ago(seconds=61)), detector()), []),
        (seen(detector(rejected_by_reason={"bad_avro": 6}), events={"rejected": 5}), None),
        (seen(reconciliation={"balanced": False, "difference": 3}), ["reconciliation all"]),
        (seen(reconciliation=None), []),
        (replace(seen(), batch_error="disk full"), ["batch failed"]),
        (seen(batch={"newest_dt": "2026-01-03"}), []),
        (seen(detector(watermark_at=ago(hours=1)), batch={"newest_dt": None}), ["batch late"]),
        (
            seen(detector(watermark_at=ago(hours=1)), batch={"newest_dt": "2026-01-03"}),
            ["batch late"],
        ),
        (seen(detector(watermark_at=ago(hours=1))), []),
        (replace(seen(), pool=Pool(80, 100)), ["database_pool database"]),
        (replace(seen(), pool=Pool(79, 100)), []),
        (replace(seen(), services={"kafka": None, "s3": "NOT READY"}), ["service s3"]),
        (Seen(NOW, None, services={"database": "refused"}), ["service database"]),
    ],
)
def test_a_condition_holds_from_its_limit_on(one: Seen, expected: list[str] | None) -> None:
    assert found(one) == (["dead_letters all"] if expected is None else expected)
