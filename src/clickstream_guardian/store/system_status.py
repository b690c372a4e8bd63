"""The state of the whole, for people, Prometheus and alerts, from what the database knows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clickstream_guardian.store.snapshots import PROGRESS


def system_status(seen: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of ``/status``, from what ``read_status.status`` saw."""
    lake = seen["snapshots"].get("lake")
    events = _events(seen, lake)
    positions = [_position(one, _ends(seen)) for one in seen["positions"]]
    lags = [one["lag"] for one in positions if one["lag"] is not None]
    return {
        "at": seen["now"],
        "newest_event_at": seen["newest_event_at"],
        "lag": sum(lags) if lags else None,
        "events": events,
        "reconciliation": _reconciliation(lake),
        "batch": {
            "newest_dt": seen["days"]["newest_dt"],
            "day_count": seen["days"]["day_count"],
            "last_finished_at": lake["updated_at"] if lake else None,
            "dirty_days": lake["value"]["dirty_days"] if lake else None,
            "last_run": _last_run(seen["snapshots"].get("batch")),
        },
        "positions": positions,
        "detectors": _detectors(seen),
        "sources": seen["sources"],
    }


def _last_run(batch: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The last run of ``guardian batch``; its error is for those who may read files of the home."""
    if batch is None:
        return None
    value = batch["value"]
    return {
        "ended_at": batch["updated_at"],
        "failed": value["error"] is not None,
        "seconds": value.get("seconds"),
        "day_count": value.get("day_count"),
    }


def _events(seen: Mapping[str, Any], lake: Mapping[str, Any] | None) -> dict[str, Any]:
    totals, days = seen["totals"], seen["days"]
    landed = lake["value"]["landed"] if lake else None
    computed = bool(days["day_count"])
    return {
        "received": totals["lines"],
        "landed": landed if landed is not None or not computed else days["rows"],
        "events": days["events"] if computed else None,
        "duplicates": days["rows"] - days["events"] if computed else None,
        "rejected": totals["rejected"],
        "rejected_by_reason": seen["reasons"],
        "late": totals["late"],
    }


def _reconciliation(lake: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The balance when the lake was last seen; None where there was none to be told."""
    difference = lake["value"].get("difference") if lake else None
    if lake is None or difference is None:
        return None
    return {
        "balanced": difference == 0,
        "difference": difference,
        "checked_at": lake["updated_at"],
    }


def _ends(seen: Mapping[str, Any]) -> dict[tuple[str, int], int]:
    """The log's ends, as the last who saw each noted it."""
    noted = sorted(seen["snapshots"].values(), key=lambda one: one["updated_at"])
    ends = [end for one in noted for end in one["value"].get("ends", ())]
    return {(end["source"], end["partition"]): end["end_offset"] for end in ends}


def _detectors(seen: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Live detection, bucket by bucket."""
    found = {n: one for n, one in seen["snapshots"].items() if n.startswith(PROGRESS)}
    shown = [one["value"] | {"updated_at": one["updated_at"]} for one in found.values()]
    shown.sort(key=lambda one: (one["group"], one["bucket"]))
    return [{name: v for name, v in one.items() if name != "ends"} for one in shown]


def _position(position: Mapping[str, Any], ends: Mapping[tuple[str, int], int]) -> dict[str, Any]:
    end = ends.get((position["source"], position["partition"]))
    lag = None if end is None else max(0, end - position["next_offset"])
    return {**position, "lag": 0 if position["ended"] else lag}
