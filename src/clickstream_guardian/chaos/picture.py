"""The picture of a scenario: output, lag and latency over time, with the fault marked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from clickstream_guardian.chaos.run import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RATE_SECONDS = 1.0


def draw(outcome: Outcome, path: Path) -> None:
    """Write the picture as PNG."""
    from matplotlib.figure import Figure

    panels = 3 if outcome.lag else 1
    figure = Figure(figsize=(9, 2 + 2.5 * panels), layout="constrained")
    every = figure.subplots(panels, sharex=True, squeeze=False)[:, 0]
    if outcome.lag:
        _rate(every[0], outcome)
        _lag(every[1], outcome)
        _latency(every[2], outcome)
    else:
        _output(every[0], outcome)
    for panel in every:
        panel.axvline(outcome.times.fault, color="tab:red", label="fault")
        panel.axvline(outcome.times.restarted, color="tab:green", label="lifted")
    every[0].legend(loc="upper left")
    every[-1].set_xlabel("seconds")
    figure.suptitle(f"{outcome.scenario.name}, {outcome.rate:,} events/s")
    figure.savefig(path, dpi=110)


def _output(panel: Axes, outcome: Outcome) -> None:
    """Lines judged, and anomalies."""
    known = [(s.at, s.judged, s.anomalies or 0) for s in outcome.samples if s.judged is not None]
    at = [one for one, _, _ in known]
    panel.plot(at, [one for _, one, _ in known], color="tab:blue", label="lines judged")
    panel.set_ylabel("lines judged and saved", color="tab:blue")
    other = panel.twinx()
    other.plot(at, [one for _, _, one in known], color="tab:orange")
    other.set_ylabel("anomalies readable", color="tab:orange")
    away = [one.at for one in outcome.samples if one.judged is None]
    panel.plot(away, [0] * len(away), "x", color="grey", label="database away")


def _rate(panel: Axes, outcome: Outcome) -> None:
    """Events judged a second, over the second before."""
    known = [(one.at, one.judged) for one in outcome.samples if one.judged is not None]
    points, behind = [], 0
    for at, judged in known:
        while known[behind][0] < at - _RATE_SECONDS:
            behind += 1
        seconds = at - known[behind][0]
        points.append((at, (judged - known[behind][1]) / seconds if seconds else math.nan))
    panel.plot([at for at, _ in points], [rate for _, rate in points], color="tab:blue")
    panel.set_ylabel("judged and saved, /s")


def _lag(panel: Axes, outcome: Outcome) -> None:
    panel.plot([at for at, _ in outcome.lag], [n for _, n in outcome.lag], color="tab:purple")
    panel.set_ylabel("due, not saved")


def _latency(panel: Axes, outcome: Outcome) -> None:
    found = outcome.latencies
    panel.plot([at for at, _ in found], [age for _, age in found], ".", color="tab:orange")
    panel.set_ylabel("age of a new anomaly, s")
