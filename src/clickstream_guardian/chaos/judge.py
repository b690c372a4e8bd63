"""What a disturbed run left, held against an undisturbed one, the source and the labels. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clickstream_guardian.chaos.api import ApiVerdict
from clickstream_guardian.chaos.observe import Sample
from clickstream_guardian.chaos.timetable import Timetable

_CONTROL = "control"
_COMPARED = ("rule", "session_id", "window_start", "window_end", "measures", "severity", "status")


Rows = Mapping[str, Mapping[str, Any]]
"""Anomalies by id."""


@dataclass(frozen=True)
class Times:
    """Moments of a run, in seconds since watching began."""

    fault: float
    detected: float
    lifted: float
    restarted: float
    ended: float


@dataclass(frozen=True)
class Verdict:
    """What came of it.

    Attributes:
        detection_seconds: from the fault to the command's end with an error, or on the cluster to
            the first sign; None without one.
        recovery_seconds: from the fault (a crash) or its lifting to the first new saved output.
        lost, twice: events of the source that are not in the lake, or in it more than once.
        wrong: anomalies missing, added or different beside the undisturbed run.
        attacks_found, attacks_missed: labelled attack sessions that the undisturbed run found.
        crashes: how often the command ended although nothing was done to it, on the cluster.
        api: how the API did.
        caught_up_seconds: from the same moment until all that was due a second ago was saved.
        stalled_seconds: the longest time without any new output, on the cluster.
        detected_by: the first sign, on the cluster.
    """

    detection_seconds: float | None
    recovery_seconds: float | None
    lost: int
    twice: int
    wrong: int
    attacks_found: int
    attacks_missed: int
    api: ApiVerdict
    caught_up_seconds: float | None = None
    stalled_seconds: float | None = None
    detected_by: str = "exit code"
    crashes: int = 0

    @property
    def is_clean(self) -> bool:
        """Nothing lost, doubled, wrong or missed, it came back, and the API kept its form.

        How long that took is told, not judged.
        """
        harm = self.lost + self.twice + self.wrong + self.attacks_missed + self.api.wrong
        came_back = self.recovery_seconds is not None and self.caught_up_seconds is not None
        was_looked_at = self.attacks_found > 0 and self.api.fresh > 0
        return harm + self.crashes == 0 and came_back and was_looked_at


def judge(
    samples: Sequence[Sample],
    times: Times,
    timetable: Timetable,
    balance: Mapping[str, Any],
    anomalies: Rows,
    expected: Rows,
    labels: Mapping[str, str],
    api: ApiVerdict,
) -> Verdict:
    """The verdict.

    Args:
        samples: the output over time.
        times: when what happened.
        timetable: when which line was due.
        balance: what ``guardian reconcile --json`` said.
        anomalies: those found, by id.
        expected: those of the undisturbed run.
        labels: family by session.
        api: how the API did.
    """
    found, missed = attacks(anomalies, expected, labels)
    lost, twice = _offsets(balance)
    since, recovered = max(times.fault, times.lifted), _recovered(samples, times)
    even = None if recovered is None else timetable.caught_up(samples, recovered)
    return Verdict(
        detection_seconds=round(times.detected - times.fault, 2),
        recovery_seconds=None if recovered is None else round(recovered - since, 2),
        caught_up_seconds=None if even is None else round(even - since, 2),
        lost=lost,
        twice=twice,
        wrong=wrong(anomalies, expected),
        attacks_found=found,
        attacks_missed=missed,
        api=api,
    )


def attacks(found: Rows, expected: Rows, labels: Mapping[str, str]) -> tuple[int, int]:
    """Labelled attack sessions among the expected anomalies: how many are found, and are not."""
    hostile = {session for session, family in labels.items() if family != _CONTROL}
    due = {str(row["session_id"]) for row in expected.values()} & hostile
    met = due & {str(row["session_id"]) for row in found.values()}
    return len(met), len(due) - len(met)


def wrong(found: Rows, expected: Rows) -> int:
    """Anomalies missing, added or different."""
    return sum(_said(found.get(one)) != _said(expected.get(one)) for one in {*found, *expected})


def _recovered(samples: Sequence[Sample], times: Times) -> float | None:
    """When more is saved than was found saved after the fault; what was just saved is no output.

    A command that has been started again needs longer to its first output than to the next sample.
    """
    after = [(s.at, s.judged) for s in samples if s.at > times.restarted and s.judged is not None]
    new = [at for at, judged in after if judged > after[0][1]]
    return new[0] if new else None


def _offsets(balance: Mapping[str, Any]) -> tuple[int, int]:
    """Lines that are nowhere in the lake, and lines that are there more than once."""
    lost = twice = 0
    for one in balance["imbalances"]:
        if one["where"] == "offsets that are there":
            lost += max(0, one["came_in"] - one["found"])
        elif one["where"] == "offsets that are there twice":
            twice += one["found"]
    return lost, twice


def _said(row: Mapping[str, Any] | None) -> list[Any] | None:
    return None if row is None else [row[name] for name in _COMPARED]
