"""How results look to a person."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from clickstream_guardian.cli.plain import plain

if TYPE_CHECKING:
    from clickstream_guardian.cli.summary import Summary
    from clickstream_guardian.lab.generator import GenerationReport
    from clickstream_guardian.pipelines.explain import Explained

SEVERITY_STYLE = {"low": "cyan", "medium": "yellow", "high": "dark_orange", "critical": "red"}
_BAR = 28
_SHOWN = 40


def number(value: object) -> str:
    """A count with thousands separated."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Group:
    """A plain table under its title; columns whose name ends with ``#`` are right-aligned."""
    made = Table(box=box.SIMPLE, show_header=any(column.strip("#") for column in columns))
    for column in columns:
        right = column.endswith("#")
        made.add_column(column.removesuffix("#"), justify="right" if right else "left")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else number(cell) for cell in row))
    return Group(Text(title, "bold"), made) if title else Group(made)


def show_summary(console: Console, summary: Summary) -> None:
    """The end of a replay."""
    if summary.already and not summary.files:
        names = ", ".join(summary.already)
        console.print(f"Already replayed and finished: {names}. Nothing has changed.")
    console.print(
        Panel(
            Group(*_story(summary)),
            title="[bold]Clickstream Guardian[/]",
            subtitle=f"home {summary.home}",
            box=box.ROUNDED,
            padding=(1, 2),
        )
    )


def _story(summary: Summary) -> list[Any]:
    parts: list[Any] = [_intake(summary), _anomalies(summary)]
    if summary.day:
        parts += [_day(summary.day), _funnel(summary.funnel), _items(summary.top_items)]
    parts.append(_next_steps(summary))
    return parts


def _intake(summary: Summary) -> Group:
    rejected = sum(summary.rejected.values())
    events = " + ".join(f"{count:,} {kind}s" for kind, count in sorted(summary.events.items()))
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(summary.rejected.items()))
    rows = [
        ("Lines in", summary.lines, events or "none this time"),
        ("Rejected", rejected, reasons or "every line is an event"),
        ("Late", summary.late, "landed, but no part of detection"),
        ("Duplicates", summary.duplicates, "landed, counted once"),
    ]
    return table("What came in", ["", "#", ""], rows)


def _anomalies(summary: Summary) -> Group:
    rows = [(rule, count) for rule, count in sorted(summary.anomalies.items())]
    found = table(
        f"Anomalies: {sum(summary.anomalies.values()):,} windows in {summary.sessions:,} sessions",
        ["rule", "windows#"],
        rows,
    )
    lines = [found]
    for example in summary.examples:
        style = SEVERITY_STYLE.get(example.severity, "white")
        line = Text.assemble(
            ("  ● ", style),
            (example.severity, style),
            f"  session {example.session_id} at {example.at}: ",
            (example.explanation, "bold"),
            f"  ({example.rule}, {example.anomaly_id[:12]}…)",
        )
        lines.append(line)  # type: ignore[arg-type]
    return Group(*lines, Text(""))


def _day(day: Mapping[str, Any]) -> Group:
    seconds = float(day["avg_session_duration_seconds"] or 0)
    rows = [
        ("Clicks", day["total_clicks"], "Sessions", day["unique_sessions"]),
        ("Purchases", day["total_purchases"], "Buying sessions", day["buying_sessions"]),
        ("Revenue", f"{float(day['total_revenue'] or 0):,.2f}", "Order value", _money(day)),
        ("Conversion", _percent(day["conversion_rate"]), "Session length", f"{seconds:,.0f} s"),
    ]
    return table(f"The day {day['dt']}, attacks included", ["", "#", "", "#"], rows)


def _money(day: Mapping[str, Any]) -> str:
    value = day["avg_order_value"]
    return "unknown" if value is None else f"{float(value):,.2f}"


def _percent(value: object) -> str:
    return "–" if value is None else f"{float(str(value)):.2%}"


def _funnel(steps: Sequence[Mapping[str, Any]]) -> Group:
    top = max((step["sessions"] for step in steps), default=0) or 1
    rows = [
        (
            step["step"],
            Text("█" * max(1, round(_BAR * step["sessions"] / top)), "green"),
            step["sessions"],
            _percent(step["share_ratio"]),
        )
        for step in steps
    ]
    return table("Funnel", ["step", "", "sessions#", "share#"], rows)


def _items(items: Sequence[Mapping[str, Any]]) -> Group:
    rows = [(i["item_id"], i["clicks"], i["purchases"], i["revenue"]) for i in items]
    return table("Most clicked items", ["item", "clicks#", "purchases#", "revenue#"], rows)


def command_name() -> str:
    """How the person can call the command again: by its name, or by where it lies."""
    called = Path(sys.argv[0])
    if shutil.which("guardian") == str(called.absolute()) or not called.exists():
        return "guardian"
    return os.path.relpath(called)


def _next_steps(summary: Summary) -> Group:
    some = summary.examples[0].anomaly_id if summary.examples else "ANOMALY_ID"
    steps = [
        (f"guardian explain {some[:12]}", "the clicks behind it, derived again from the lake"),
        ("guardian serve", "API and dashboard"),
        ('guardian sql "SELECT hour, count(*) FROM raw_clicks GROUP BY hour"', "ask the lake"),
        ("guardian rules list", "what counts as abuse"),
    ]
    lines = [Text("Try next", "bold")]
    name = command_name()
    lines += [
        Text.assemble("  ", (command.replace("guardian", name, 1), "cyan"), f"  {why}")
        for command, why in steps
    ]
    lines.append(Text(f"  lake {summary.home}/lake · database {summary.database}", "dim"))
    return Group(*lines)


def show_generation(console: Console, report: GenerationReport) -> None:
    """What was generated, and how near it is to the real data set."""
    console.print(
        f"{report.clicks:,} clicks and {report.purchases:,} purchases of "
        f"{report.clean_sessions:,} sessions, {report.first_day} to {report.last_day}, "
        f"in {report.clicks_file.parent}"
    )
    for attack, sessions in sorted(report.attack_sessions.items()):
        console.print(f"  {sessions:,} sessions of {attack}")
    rows = [
        (
            row.metric,
            f"{row.target:g}",
            row.tolerance,
            "–" if row.measured is None else f"{row.measured:.4g}",
            _verdict(row.ok),
        )
        for row in report.calibration
    ]
    columns = ["measure", "target#", "tolerance", "here#", ""]
    console.print(table("Calibration (clean sessions)", columns, rows))


def _verdict(ok: bool | None) -> Text:
    if ok is None:
        return Text("too few to tell", "dim")
    return Text("✓", "green") if ok else Text("outside", "yellow")


def explanation_as_dict(row: Mapping[str, Any], found: Explained) -> dict[str, Any]:
    """The stored anomaly, the one derived again, and the events."""
    return {
        "anomaly": dict(row),
        "derived": None
        if found.anomaly is None
        else {"measures": dict(found.anomaly.measures), "explanation": found.anomaly.explanation},
        "agrees": _agrees(row, found),
        "events": [
            {name: plain(value) for name, value in event.items() if name != "event_id"}
            for event in found.events.iter_rows(named=True)
        ],
    }


def _agrees(row: Mapping[str, Any], found: Explained) -> bool:
    return found.anomaly is not None and dict(found.anomaly.measures) == dict(row["measures"])


def show_explanation(console: Console, row: Mapping[str, Any], found: Explained) -> None:
    """One anomaly: what was measured beside the threshold, and the events on a time line."""
    title = f"{row['rule']} v{row['rule_version']}, session {row['session_id']}"
    console.print(Text(title, "bold"), Text(row["explanation"], SEVERITY_STYLE[row["severity"]]))
    if found.anomaly is not None:
        measured = [
            (name, f"{value:.4g}", found.anomaly.thresholds.get(name, ""))
            for name, value in found.anomaly.measures.items()
        ]
        console.print(table("", ["measure", "value#", "threshold"], measured))
    verdict = "agrees with" if _agrees(row, found) else "does NOT agree with"
    console.print(f"Derived again from the lake, it {verdict} what is stored ({row['status']}).")
    events = [
        (event["occurred_at"].strftime("%H:%M:%S.%f")[:12], event["item_id"], event["fate"])
        for event in found.events.iter_rows(named=True)
    ]
    shown = events if len(events) <= _SHOWN else events[:_SHOWN]
    console.print(table(f"{len(events):,} events", ["time", "item", ""], shown))
    if len(events) > _SHOWN:
        console.print(f"  … {len(events) - _SHOWN:,} more: --json shows all.")


def show_status(console: Console, status: Mapping[str, Any]) -> None:
    """The home at a glance."""
    rows = [
        (
            source["place"],
            source["status"],
            source["lines"] if source["lines"] is not None else "–",
            source["landed"],
            source["rejected"],
            source["late"] if source["late"] is not None else "–",
            _even(source["reconciled"]),
        )
        for source in status["sources"]
    ]
    columns = [
        "source",
        "state",
        "lines#",
        "landed#",
        "rejected#",
        "late#",
        "lines = landed + rejected",
    ]
    console.print(table(f"Home {status['home']}", columns, rows))
    dirty = status["dirty_days"]
    console.print(
        f"  days in the lake: {status['first_day'] or 'none'} to {status['last_day'] or 'none'}"
    )
    console.print(f"  days to compute: {', '.join(dirty) if dirty else 'none'}")
    console.print(f"  newest anomaly: {status['newest_anomaly'] or 'none'}")
    if status["detectors"]:
        console.print(_detectors(status["detectors"]))


def _detectors(detectors: Sequence[Mapping[str, Any]]) -> Group:
    """Live detection, bucket by bucket."""
    columns = [
        *("group", "bucket#", "messages#", "a second#", "lag#", "watermark", "held#", "step ms#"),
        *("rejected#", "late#", "by", "noted"),
    ]
    rows = [
        (
            *(one["group"], one["bucket"], one["messages"], round(one["events_per_second"])),
            *(one["lag"], (one["watermark_at"] or "–")[:19], one["state_rows"]),
            *(round(one["step_seconds"] * 1000), sum(one["rejected_by_reason"].values())),
            *(one["late"], one["owner"], one["updated_at"][:19]),
        )
        for one in detectors
    ]
    return table("Live detection", columns, rows)


def _even(even: bool | None) -> Text:
    if even is None:
        return Text("still reading", "dim")
    return Text("yes", "green") if even else Text("NO", "bold red")
