"""A small HTTP server that answers in the API's shapes: a month of 2014, for the pages' tests.

The numbers are drawn with one seed, so two runs show the same pages.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from clickstream_guardian.api.parameters import BUCKET_SECONDS

LAST_DAY = date(2014, 4, 28)
DAY_COUNT = 28
ODD_SESSION = "<img src=x onerror=alert(1)>/a b?&=*_[x](y)"


def instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def day_row(dt: date, dice: random.Random) -> dict[str, Any]:
    weekday = (1.0, 0.98, 0.93, 0.95, 0.97, 1.12, 1.25)[dt.weekday()]
    sessions = int(50_000 * weekday * dice.uniform(0.93, 1.07))
    clicks = int(sessions * dice.uniform(3.5, 3.8))
    buying = int(sessions * dice.uniform(0.048, 0.061))
    purchases = int(buying * 2.15)
    priced = int(buying * 0.47)
    revenue = priced * dice.uniform(55, 70)
    return {
        "dt": dt.isoformat(),
        "total_clicks": clicks,
        "total_purchases": purchases,
        "unique_sessions": sessions,
        "unique_items": int(16_000 * dice.uniform(0.95, 1.05)),
        "buying_sessions": buying,
        "priced_purchases": int(priced * 1.6),
        "priced_sessions": priced,
        "total_revenue": f"{revenue:.2f}",
        "total_duration_ms": sessions * 380_000,
        "source_rows": clicks + purchases,
        "conversion_rate": f"{buying / sessions:.6f}",
        "avg_session_duration_seconds": f"{dice.uniform(360, 410):.2f}",
        "avg_clicks_per_session": f"{clicks / sessions:.4f}",
        "avg_order_value": f"{revenue / priced:.2f}",
    }


def day_delta(day: dict[str, Any]) -> dict[str, Any]:
    """Two rules, each of which takes a little off the day."""
    change = {
        "total_clicks": -900,
        "total_purchases": -2,
        "unique_sessions": -12,
        "total_revenue": "-40.00",
        "conversion_rate": "0.000012",
    }
    parts = [{"rule": rule, **change} for rule in ("BOT_LIKE", "SUPERHUMAN_BURST")]
    whole = {"total_clicks": -1800, "total_purchases": -4, "unique_sessions": -24}
    return {**day, **change, **whole, "total_revenue": "-80.00", "by_rule": parts}


def anomaly(number: int, dice: random.Random) -> dict[str, Any]:
    bot = dice.random() < 0.35
    day_start = datetime(LAST_DAY.year, LAST_DAY.month, LAST_DAY.day, tzinfo=UTC)
    start = day_start + timedelta(seconds=10 * dice.randrange(0, 8640))
    if dice.random() < 0.3:
        start = day_start + timedelta(hours=14, seconds=10 * dice.randrange(0, 60))
    clicks = dice.randint(100, 340) if bot else dice.randint(50, 210)
    items = max(1, int(clicks * dice.uniform(0.01, 0.09))) if bot else clicks
    size = 60 if bot else 10
    at = sorted(start + timedelta(milliseconds=dice.randrange(size * 1000)) for _ in range(60))
    session = ODD_SESSION if number == 0 else str(11_000_000 + dice.randrange(40) * 37)
    return {
        "anomaly_id": f"{dice.getrandbits(128):032x}",
        "rule": "BOT_LIKE" if bot else "HIGH_FREQUENCY",
        "rule_version": 1,
        "severity": "critical" if bot else "high",
        "status": "open" if number % 23 == 0 else "final",
        "session_id": session,
        "window_start": instant(start),
        "window_end": instant(start + timedelta(seconds=size)),
        "measures": {"clicks": clicks, "items": items, "diversity": round(items / clicks, 4)}
        if bot
        else {"clicks": clicks},
        "thresholds": {"clicks": ">= 100", "diversity": "<= 0.1"} if bot else {"clicks": ">= 50"},
        "event_count": clicks,
        "first_crossed_at": instant(at[35]),
        "crossed_event_id": f"{35:032x}",
        "explanation": f"{clicks} clicks on {items} items in 60 seconds"
        if bot
        else f"{clicks} clicks in 10 seconds",
        "detected_at": "2026-11-23T10:00:00.000000Z",
        "updated_at": "2026-11-23T10:00:01.000000Z",
        "change_id": number,
        "sample": {
            "occurred_at": [instant(moment) for moment in at],
            "item_id": [str(214_500_000 + dice.randrange(min(items, 24))) for _ in at],
            "event_id": [f"{place:032x}" for place in range(60)],
        },
    }


def without_sample(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "sample"}


@dataclass
class World:
    """What the server knows; tests change it while the dashboard looks on."""

    days: list[dict[str, Any]] = field(default_factory=list)
    anomalies: list[dict[str, Any]] = field(default_factory=list)
    key: str | None = None
    broken: dict[str, tuple[int, str]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    slow_seconds: float = 0.0
    stale_seconds: int | None = None

    def add(self, row: dict[str, Any]) -> None:
        self.anomalies.append(row)
        self.anomalies.sort(key=lambda one: (one["window_start"], one["anomaly_id"]), reverse=True)

    @property
    def newest(self) -> datetime:
        return datetime(2014, 4, 28, 23, 59, 41, 277000, tzinfo=UTC)


def demo_world() -> World:
    dice = random.Random(7)
    days = [day_row(LAST_DAY - timedelta(days=n), dice) for n in range(DAY_COUNT)]
    world = World(days=days)
    for number in range(180):
        world.add(anomaly(number, dice))
    return world


def problem(status: int, detail: str) -> tuple[int, Any]:
    title = {401: "Not authorised", 404: "Not found", 429: "Too many requests"}.get(status, "Error")
    kind = title.lower().replace(" ", "-")
    body = {"type": f"urn:guardian:{kind}", "title": title, "status": status, "detail": detail}
    return status, body | {"instance": "/"}


class Routes:
    """Each route's answer from the world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        name = "_".join(parts[:2]).replace("-", "_") or "root"
        for fixed in ("anomalies_types", "anomalies_timeline", "items_trending"):
            if name == fixed:
                return getattr(self, name)(query)  # type: ignore[no-any-return]
        if parts[0] == "anomalies":
            session = "/".join(parts[1:])
            return self.session(session, query) if session else self.page(query)
        if name == "metrics_daily":
            return self.daily(parts[2:], query)
        if name == "metrics_restatements":
            return 200, {"restatements": self.restatements(query), "next_cursor": None}
        if name in ("metrics_funnel", "items_popular", "items_categories"):
            if parts[2] not in {row["dt"] for row in self.world.days}:
                return problem(404, f"Day {parts[2]} is not computed.")
            return getattr(self, name)(parts[2], query)  # type: ignore[no-any-return]
        if parts == ["status"]:
            return 200, self.status()
        if parts == ["health", "ready"]:
            return 200, self.ready()
        return problem(404, f"There is no {path}.")

    def ready(self) -> dict[str, Any]:
        known = bool(self.world.days or self.world.anomalies)
        return {
            "status": "ready",
            "newest_event_at": instant(self.world.newest) if known else None,
            "last_written_at": instant(datetime.now(UTC)) if known else None,
            "last_written_seconds": 4.2 if known else None,
        }

    def chosen(self, query: dict[str, str]) -> list[dict[str, Any]]:
        rows = self.world.anomalies
        for name in ("rule", "severity", "session_id", "status"):
            if query.get(name):
                rows = [row for row in rows if row[name] == query[name]]
        if query.get("since"):
            rows = [row for row in rows if row["window_start"] >= query["since"]]
        if query.get("until"):
            rows = [row for row in rows if row["window_start"] < query["until"]]
        return rows

    def page(self, query: dict[str, str]) -> tuple[int, Any]:
        rows, start = self.chosen(query), int(query.get("cursor", 0))
        end = start + int(query.get("limit", 50))
        page = [without_sample(row) for row in rows[start:end]]
        return 200, {"anomalies": page, "next_cursor": str(end) if end < len(rows) else None}

    def session(self, session: str, query: dict[str, str]) -> tuple[int, Any]:
        rows = [row for row in self.world.anomalies if row["session_id"] == session]
        if not rows:
            return problem(404, f"Session '{session}' has no anomalies.")
        page = rows[: int(query.get("limit", 20))]
        return 200, {
            "session_id": session,
            "anomaly_count": len(rows),
            "anomalies": page,
            "next_cursor": None,
        }

    def anomalies_types(self, query: dict[str, str]) -> tuple[int, Any]:
        rules: dict[str, list[dict[str, Any]]] = {}
        for row in self.world.anomalies:
            rules.setdefault(row["rule"], []).append(row)
        total = len(self.world.anomalies)
        types = [
            {
                "rule": rule,
                "anomaly_count": len(rows),
                "session_count": len({row["session_id"] for row in rows}),
                "share_ratio": f"{len(rows) / total:.6f}",
                "first_at": rows[-1]["window_start"],
                "last_at": rows[0]["window_start"],
            }
            for rule, rows in rules.items()
        ]
        types.sort(key=lambda one: -int(one["anomaly_count"]))
        return 200, {"anomaly_count": total, "types": types}

    def anomalies_timeline(self, query: dict[str, str]) -> tuple[int, Any]:
        bucket = query.get("bucket", "5m")
        if bucket not in BUCKET_SECONDS:
            return problem(422, f"bucket: {bucket!r} is none of {', '.join(BUCKET_SECONDS)}.")
        length = BUCKET_SECONDS[bucket]
        as_of = datetime.fromisoformat(query.get("as_of", instant(self.world.newest)))
        end = (int(as_of.timestamp()) // length + 1) * length
        count = int(query.get("hours", 24)) * 3600 // length
        starts = [end - (count - place) * length for place in range(count)]
        series: dict[str, list[int]] = {}
        for row in self.world.anomalies:
            place = (int(datetime.fromisoformat(row["window_start"]).timestamp()) - starts[0]) // (
                length
            )
            if 0 <= place < count:
                series.setdefault(row["rule"], [0] * count)[place] += 1
        return 200, {
            "as_of": instant(as_of),
            "start": instant(datetime.fromtimestamp(starts[0], UTC)),
            "end": instant(datetime.fromtimestamp(end, UTC)),
            "bucket_seconds": length,
            "bucket_starts": [instant(datetime.fromtimestamp(at, UTC)) for at in starts],
            "totals": [sum(column) for column in zip(*series.values(), strict=True)] or [0] * count,
            "series": [{"rule": rule, "counts": series[rule]} for rule in sorted(series)],
        }

    def daily(self, rest: list[str], query: dict[str, str]) -> tuple[int, Any]:
        if rest:
            rows = [row for row in self.world.days if row["dt"] == rest[0]]
            if rows and query.get("view") == "delta":
                return 200, day_delta(rows[0])
            return (200, rows[0]) if rows else problem(404, f"Day {rest[0]} is not computed.")
        low, high = query.get("start_date", ""), query.get("end_date", "9999")
        rows = [row for row in self.world.days if low <= row["dt"] <= high]
        return 200, {"days": rows[: int(query.get("limit", 31))]}

    def restatements(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """The newest day but one grew after it was told, and a rule found more in it."""
        low, high = query.get("start_date", ""), query.get("end_date", "9999")
        return [
            {
                "restatement_id": 2 - number,
                "dt": row["dt"],
                "restated_at": instant(datetime(2014, 4, 28, 6, 30 - number, tzinfo=UTC)),
                "reasons": reasons,
                "raw": row | {"total_clicks": row["total_clicks"] - 1_200 * number},
                "clean": row | {"total_clicks": row["total_clicks"] - 1_200 * number - 804},
            }
            for number, reasons in enumerate((["rule_version"], ["allow_list", "events"]))
            for row in self.world.days[1:2]
            if low <= row["dt"] <= high
        ]

    def metrics_funnel(self, dt: str, query: dict[str, str]) -> tuple[int, Any]:
        if query.get("view") == "delta":
            steps = {"VIEW": -32, "MULTI_VIEW": -31, "PURCHASE": 0, "DIRECT_PURCHASE": 0}
            return 200, {"dt": dt, "by_rule": [{"rule": "BOT_LIKE", "steps": steps}]}
        day = next(row for row in self.world.days if row["dt"] == dt)
        view = day["unique_sessions"]
        counts = (view, int(view * 0.652), int(day["buying_sessions"] * 0.94))
        steps = [
            {
                "step": step,
                "sessions": count,
                "share_ratio": f"{count / view:.6f}",
                "drop_ratio": None if before is None else f"{1 - count / before:.6f}",
            }
            for step, count, before in zip(
                ("VIEW", "MULTI_VIEW", "PURCHASE"), counts, (None, *counts), strict=False
            )
        ]
        return 200, {
            "dt": dt,
            "steps": steps,
            "direct_purchase_sessions": day["buying_sessions"] - counts[2],
        }

    def items_popular(self, dt: str, query: dict[str, str]) -> tuple[int, Any]:
        dice, by = random.Random(dt), query.get("by", "clicks")
        rows = [
            {
                "item_id": str(214_500_000 + dice.randrange(60_000)),
                "clicks": clicks,
                "sessions": int(clicks * 0.65),
                "purchases": int(clicks * dice.uniform(0.01, 0.06)),
                "revenue": f"{clicks * dice.uniform(0.2, 3):.2f}",
            }
            for clicks in (int(2400 / (place + 2) ** 0.6) for place in range(100))
        ]
        rows.sort(key=lambda row: -float(row[by]))  # type: ignore[arg-type]
        rows = rows[: int(query.get("limit", 20))]
        items: list[dict[str, Any]] = [{"rank": place, **row} for place, row in enumerate(rows, 1)]
        if query.get("view") == "delta":
            for row in items:
                row["by_rule"] = [{"rule": "BOT_LIKE"}]
        if query.get("view") == "clean":
            for row in items:
                row |= {"raw_rank": row["rank"], "robust_rank": row["rank"], "rank_shift": 0}
        return 200, {"dt": dt, "by": by, "items": items}

    def items_categories(self, dt: str, query: dict[str, str]) -> tuple[int, Any]:
        dice, by = random.Random(dt), query.get("by", "clicks")
        names = ["unknown", "S", *(str(number) for number in range(1, 13)), "2089046155"]
        rows = [
            {
                "category": name,
                "clicks": clicks,
                "sessions": int(clicks * 0.6),
                "purchases": int(clicks * dice.uniform(0.01, 0.05)),
                "revenue": f"{clicks * dice.uniform(0.2, 2):.2f}",
            }
            for name, clicks in zip(names, (int(60_000 / (n + 1)) for n in range(15)), strict=True)
        ]
        rows.sort(key=lambda row: -float(row[by]))  # type: ignore[arg-type]
        rows = rows[: int(query.get("limit", 100))]
        return 200, {"dt": dt, "by": by, "category_count": 15, "categories": rows}

    def items_trending(self, query: dict[str, str]) -> tuple[int, Any]:
        if not self.world.days:
            return problem(404, "No day is computed yet.")
        dt = query.get("date", LAST_DAY.isoformat())
        dice = random.Random(dt)
        before = date.fromisoformat(dt)
        items = []
        for place in range(1, int(query.get("limit", 20)) + 1):
            share, base = 0.012 / place**0.7, dice.choice([0.0, 0.004, 0.001]) / place**0.7
            items.append(
                {
                    "rank": place,
                    "item_id": str(214_800_000 + dice.randrange(60_000)),
                    "clicks": int(share * 186_000),
                    "share_ratio": f"{share:.6f}",
                    "baseline_clicks": int(base * 1_300_000),
                    "baseline_share_ratio": f"{base:.6f}",
                    "change_ratio": f"{share - base:.6f}",
                    "growth_ratio": f"{share / base:.4f}" if base else None,
                }
            )
        return 200, {
            "dt": dt,
            "baseline_start_date": (before - timedelta(days=7)).isoformat(),
            "baseline_end_date": (before - timedelta(days=1)).isoformat(),
            "total_clicks": 186_000,
            "baseline_total_clicks": 1_302_000,
            "items": items,
        }

    def status(self) -> dict[str, Any]:
        rows = sum(row["source_rows"] for row in self.world.days)
        now = datetime.now(UTC)
        known = bool(rows)
        sources = [
            {
                "source": f"3f0c9a5b11d{number}",
                "kind": kind,
                "place": f"yoochoose-{file}.dat",
                "status": "finished",
                "total_lines": rows // (number + 1),
                "event_count": rows // (number + 1) - 12,
                "rejected_count": 12,
                "late_count": 3,
                "started_at": instant(now - timedelta(minutes=6)),
                "finished_at": instant(now - timedelta(minutes=5)),
            }
            for number, (kind, file) in enumerate((("clicks", "clicks"), ("purchases", "buys")))
        ]
        positions = [
            {
                "group_name": "embedded",
                "source": source["source"],
                "partition": number % 2,
                "next_offset": source["total_lines"],
                "newest_event_at": instant(self.world.newest),
                "ended": True,
                "lag": 0,
            }
            for number, source in enumerate(sources * 2)
        ]
        return {
            "at": instant(now),
            "newest_event_at": instant(self.world.newest) if known else None,
            "lag": 0 if known else None,
            "events": {
                "received": rows + 24 if known else 0,
                "landed": rows if known else None,
                "events": rows - 310 if known else None,
                "duplicates": 310 if known else None,
                "rejected": 24 if known else 0,
                "rejected_by_reason": {"time_out_of_range": 15, "bad_item": 9} if known else {},
                "late": 6 if known else 0,
            },
            "reconciliation": {"balanced": True, "difference": 0, "checked_at": instant(now)}
            if known
            else None,
            "batch": {
                "newest_dt": self.world.days[0]["dt"] if known else None,
                "day_count": len(self.world.days),
                "last_finished_at": instant(now - timedelta(minutes=4)) if known else None,
                "dirty_days": [] if known else None,
                "last_run": None,
            },
            "positions": positions if known else [],
            "sources": sources if known else [],
        }


class CannedServer(ThreadingHTTPServer):
    """The world behind one loopback port."""

    daemon_threads = True

    def __init__(self, world: World, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.world = world
        self.closing = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request: the route's answer as JSON."""

    protocol_version = "HTTP/1.1"
    server: CannedServer

    def do_GET(self) -> None:
        world = self.server.world
        parts = urlsplit(self.path)
        if self.server.closing:
            self.close_connection = True
            return
        world.seen.append(self.path)
        time.sleep(world.slow_seconds)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if world.key and self.headers.get("Authorization") != f"Bearer {world.key}":
            status, body = problem(401, "An API key is needed; make one by 'guardian keys create'.")
        elif parts.path in world.broken:
            status, body = problem(*world.broken[parts.path])
        else:
            status, body = Routes(world).answer(parts.path, query)
        data = json.dumps(body).encode()
        self.send_response(status)
        kind = "application/json" if status == 200 else "application/problem+json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if world.stale_seconds is not None and status == 200:
            age = world.stale_seconds
            self.send_header("Age", str(age))
            self.send_header("Cache-Status", f"guardian; hit; ttl=-{age}; detail=stale")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(world: World, port: int = 0) -> Iterator[CannedServer]:
    server = CannedServer(world, port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing = True
        server.shutdown()
        server.server_close()
        thread.join()
