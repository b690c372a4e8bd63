"""The report of a scenario: Markdown and JSON for people and machines, and a picture."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clickstream_guardian.chaos.run import Outcome

COLUMNS = {
    "scenario": "#",
    "name": "name",
    "detection_seconds": "detected, s",
    "recovery_seconds": "recovered, s",
    "lost": "lost",
    "twice": "twice",
    "wrong": "wrong",
    "attacks_missed": "attacks missed",
}
"""What is shown of each report side by side, with its heading."""


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
    _draw(outcome, folder / f"{name}.png")
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
            f"--seconds {outcome.seconds:g}"
        ),
        "machine": f"{os.cpu_count()} processors, {platform.machine()}, {platform.system()}",
        "clean": outcome.verdict.is_clean,
        **asdict(outcome.verdict),
        "restart_seconds": round(outcome.times.restarted - outcome.times.fault, 2),
        "complaint": outcome.complaint,
    }


def markdown(outcome: Outcome, values: dict[str, Any], picture: str) -> str:
    """The report for a person."""
    shown = {
        "detected after": f"{values['detection_seconds']} s",
        "recovered after": f"{values['recovery_seconds']} s",
        "events lost": values["lost"],
        "events twice": values["twice"],
        "anomalies wrong or missing": values["wrong"],
        "labelled attacks found": values["attacks_found"],
        "labelled attacks missed": values["attacks_missed"],
    }
    lines = [f"# Scenario {outcome.scenario.number}: {outcome.scenario.name}", ""]
    lines += [outcome.scenario.story, "", f"`{values['command']}` on {values['machine']}.", ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in shown.items())]
    lines += ["", "The command said: " + (f"`{outcome.complaint}`" if outcome.complaint else "–")]
    return "\n".join([*lines, "", f"![Output over time]({picture})", ""])


def _draw(outcome: Outcome, path: Path) -> None:
    """Lines judged and anomalies over time, with the fault marked."""
    from matplotlib.figure import Figure

    known = [
        (one.at, one.judged, one.anomalies or 0)
        for one in outcome.samples
        if one.judged is not None
    ]
    away = [one.at for one in outcome.samples if one.judged is None]
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    top = figure.subplots()
    at = [one for one, _, _ in known]
    top.plot(at, [one for _, one, _ in known], color="tab:blue", label="lines judged")
    top.set_xlabel("seconds")
    top.set_ylabel("lines judged and saved", color="tab:blue")
    other = top.twinx()
    other.plot(at, [one for _, _, one in known], color="tab:orange")
    other.set_ylabel("anomalies readable", color="tab:orange")
    top.axvline(outcome.times.fault, color="tab:red", label="fault")
    top.axvline(outcome.times.restarted, color="tab:green", label="started again")
    top.plot(away, [0] * len(away), "x", color="grey", label="database away")
    top.set_title(f"{outcome.scenario.name}, {outcome.rate:,} events/s")
    top.legend(loc="upper left")
    figure.savefig(path, dpi=110)
