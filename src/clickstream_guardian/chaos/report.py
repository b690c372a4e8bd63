"""The report of a scenario: Markdown and JSON for people and machines, and a picture."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clickstream_guardian.chaos.api import ApiVerdict
from clickstream_guardian.chaos.picture import draw
from clickstream_guardian.chaos.run import Outcome

COLUMNS = {
    "scenario": "#",
    "name": "name",
    "detection_seconds": "detected, s",
    "recovery_seconds": "recovered, s",
    "caught_up_seconds": "caught up, s",
    "lost": "lost",
    "twice": "twice",
    "wrong": "wrong",
    "attacks_missed": "attacks missed",
}
"""What is shown of each report side by side, with its heading."""


MEANING = """\
*Detected*: from the fault to the first sign of it. Embedded that is the command's end with an
error. On the cluster it is the first of: a server that does not do its work, detection that says
"waiting", messages rejected, or a lag of a second's events and above all lag seen before the fault.
*Recovered*: from the fault, where work has to go on without what is broken, else from its lifting,
until output that can only have come after that moment, on the cluster of every partition. *Caught
up*: from the same moment until all that was due a second ago is saved. *Hold*: what is judged of a
backlog, before the fault."""
"""What the words of a report mean."""


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """The reports of a folder by number of their scenario, as ``as_dict`` made them."""
    found = [json.loads(path.read_text("utf-8")) for path in folder.glob("scenario-*.json")]
    return sorted(found, key=lambda one: int(one["scenario"]))


def write_report(outcome: Outcome, folder: Path) -> Path:
    """Write ``scenario-N.{md,json,png}`` into a folder; the Markdown file."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"scenario-{outcome.scenario.number}"
    values = as_dict(outcome)
    (folder / f"{name}.json").write_text(json.dumps(values, indent=2) + "\n")
    draw(outcome, folder / f"{name}.png")
    page = folder / f"{name}.md"
    page.write_text(markdown(outcome, values, f"{name}.png"))
    return page


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Everything measured but the samples."""
    return {
        "scenario": outcome.scenario.number,
        "name": outcome.scenario.name,
        "command": (
            f"guardian chaos run {outcome.scenario.number} --rate {outcome.rate} "
            f"--seconds {outcome.seconds:.3g}"
        ),
        "rate": outcome.rate,
        "held_rate": None if outcome.held_rate is None else round(outcome.held_rate),
        "machine": f"{os.cpu_count()} processors, {platform.machine()}, {platform.system()}",
        "clean": outcome.verdict.is_clean,
        **asdict(outcome.verdict),
        "latency_p95_seconds": latency_p95(outcome),
        "restart_seconds": round(outcome.times.restarted - outcome.times.fault, 2),
        "complaint": outcome.complaint,
    }


def markdown(outcome: Outcome, values: dict[str, Any], picture: str) -> str:
    """The report for a person."""
    shown = {
        "events per second": f"{outcome.rate:,}",
        "that hold here, on a backlog": _number(outcome.held_rate),
        "detected after": _seconds(values["detection_seconds"]),
        "first sign": values["detected_by"],
        "recovered after": f"{values['recovery_seconds']} s",
        "caught up after": _seconds(values["caught_up_seconds"]),
        "age of a new anomaly, 95th percentile": _seconds(values["latency_p95_seconds"]),
        "longest time without output": _seconds(values["stalled_seconds"]),
        "events lost": values["lost"],
        "events twice": values["twice"],
        "anomalies wrong or missing": values["wrong"],
        "labelled attacks found": values["attacks_found"],
        "labelled attacks missed": values["attacks_missed"],
    }
    shown |= _of_api(outcome.verdict.api)
    lines = [f"# Scenario {outcome.scenario.number}: {outcome.scenario.name}", ""]
    lines += [outcome.scenario.story, "", f"`{values['command']}` on {values['machine']}.", ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in shown.items())]
    lines += ["", "The command said: " + (f"`{outcome.complaint}`" if outcome.complaint else "–")]
    return "\n".join([*lines, "", f"![Output over time]({picture})", "", MEANING, ""])


def _of_api(api: ApiVerdict) -> dict[str, str]:
    """What is told of the API, which was asked throughout."""
    kinds = f"{api.fresh} fresh, {api.stale} marked stale, {api.refused} times 503, {api.wrong}"
    return {
        "API, answers": f"{kinds} wrong or none",
        "API, slowest answer": f"{api.slowest_seconds} s",
        "API, answers within 1 s": f"{api.within_second_ratio:.1%}",
    }


def latency_p95(outcome: Outcome) -> float | None:
    """Of 100 anomalies, how old 95 were at most when they were first readable; with the fault."""
    ages = sorted(age for _, age in outcome.latencies)
    return round(ages[math.ceil(0.95 * len(ages)) - 1], 2) if ages else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value} s"
