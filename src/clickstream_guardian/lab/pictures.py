"""Pictures of a back-test and of a what-if curve, drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_SHADES = {"naive": "#2f6f4f", "jittered": "#4a7de0", "mimic": "#c79a1c"}
_BAD = "#d8393e"


def draw_scores(scores: dict[str, Any], path: Path) -> None:
    """Recall per family and strength, and precision per rule, side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    families = sorted({row["family"] for row in scores["families"]}, reverse=True)
    for shift, (strength, shade) in enumerate(_SHADES.items()):
        rows = {r["family"]: r["recall"] for r in scores["families"] if r["strength"] == strength}
        places = [n + 0.27 - 0.27 * shift for n in range(len(families))]
        left.barh(
            places, [rows.get(f, 0) or 0 for f in families], 0.25, color=shade, label=strength
        )
    left.set_yticks(range(len(families)), families)
    left.set(xlim=(0, 1), title="Recall per family", xlabel="share of its sessions flagged")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, frameon=False)
    rules = list(reversed(scores["rules"]))
    right.barh([r["rule"] for r in rules], [r["precision"] or 0 for r in rules], color="#8a96ab")
    for place, row in enumerate(rules):
        note = f"{row['clean']} clean, {row['controls']} controls of {row['flagged']}"
        right.text(0.02, place, note, va="center", fontsize=8)
    right.axvline(0.95, color=_BAD, linewidth=1)
    right.set(xlim=(0, 1), title="Precision per rule (line: 0.95)", xlabel="share that are attacks")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def draw_curve(points: list[dict[str, Any]], measure: str, now: float, path: Path) -> None:
    """Flagged sessions, or precision and recall where there are labels, along a threshold."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    values = [point["value"] for point in points]
    if points[0]["precision_known"]:
        for name, shade in (("precision", "#4a7de0"), ("recall", "#2f6f4f")):
            drawn = [
                (v, p[name]) for v, p in zip(values, points, strict=True) if p[name] is not None
            ]
            axes.plot([v for v, _ in drawn], [y for _, y in drawn], "o-", color=shade, label=name)
        axes.set(ylim=(0, 1.03), ylabel="share")
        axes.legend(frameon=False)
    else:
        axes.plot(values, [point["flagged"] for point in points], "o-", color="#4a7de0")
        axes.set(ylabel="sessions flagged")
        axes.set_ylim(bottom=0)
    axes.axvline(now, color="#8a96ab", linestyle="--", linewidth=1)
    axes.annotate("now", (now, 0.02), xycoords=("data", "axes fraction"), color="#8a96ab")
    axes.set(xlabel=measure)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
