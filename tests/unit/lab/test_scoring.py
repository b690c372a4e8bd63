"""Scores by hand: three sessions of an attack, one control, the rest clean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.backtest import Judged
from clickstream_guardian.lab.scoring import read_labels, score

T0 = datetime(2014, 4, 7, 12, tzinfo=UTC)
SESSIONS = ("a1", "a2", "a3", "c1", *(f"s{n}" for n in range(6)))
LABELS = pl.DataFrame(
    {
        "session_id": ["a1", "a2", "a3", "c1"],
        "family": ["burst", "burst", "burst", "sale"],
        "strength": ["naive", "naive", "mimic", "control"],
    }
)


def _clicks() -> Judged:
    """Every session starts at T0; labelled ones click once a second, 20 times."""
    moments = [(s, T0 + timedelta(seconds=n)) for s in LABELS["session_id"] for n in range(20)]
    return Judged(
        pl.DataFrame(),
        pl.DataFrame({"session_id": SESSIONS, "first_at": [T0] * 10, "events": [20] * 10}),
        pl.DataFrame(moments, schema=["session_id", "occurred_at"], orient="row").cast(
            {"occurred_at": pl.Datetime("us", "UTC")}
        ),
        200,
        1.0,
    )


def _flagged(*rows: tuple[str, str, int]) -> pl.DataFrame:
    return pl.DataFrame(
        [(rule, session, T0 + timedelta(seconds=after)) for rule, session, after in rows],
        schema={
            "rule": pl.String,
            "session_id": pl.String,
            "detected_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )


def test_scores_by_hand() -> None:
    flagged = _flagged(
        ("FAST", "a1", 10),
        ("FAST", "s1", 3),
        ("SLOW", "a1", 4),
        ("SLOW", "c1", 5),
        ("FAST", "a2", 12),
    )
    scores = score(flagged, _clicks(), LABELS, ["FAST", "SLOW", "NEVER"])
    fast, slow, never = scores.rules.to_dicts()
    assert (fast["flagged"], fast["attacks"], fast["clean"], fast["precision"]) == (3, 2, 1, 0.6667)
    assert fast["false_positives_per_million"] == round(1e6 / 6, 1)
    assert (slow["controls"], slow["precision"], slow["family"], slow["recall"]) == (
        1,
        0.5,
        "burst",
        0.5,
    )
    assert (never["flagged"], never["precision"], never["family"]) == (0, None, None)
    mimic, naive = scores.families.to_dicts()
    assert (mimic["caught"], mimic["recall"], mimic["delay_seconds"]) == (0, 0.0, None)
    assert (naive["sessions"], naive["caught"], naive["recall"]) == (2, 2, 1.0)
    assert naive["precision"] == 0.5  # a1, a2 against s1 and c1
    assert naive["delay_seconds"] == 8.0  # 4 s and 12 s
    assert naive["delay_events"] == 8.0
    assert naive["after_impossible_seconds"] == 3.0  # the tenth click comes after 9 s
    assert scores.overlap.to_dicts() == [{"rule": "FAST", "other": "SLOW", "sessions": 1}]
    assert (scores.clean_sessions, scores.flagged_clean, scores.flagged_controls) == (6, 1, 1)


def test_labels_without_a_column_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("session_id,attack,family\n1,a,b\n")
    with pytest.raises(UsageError, match="lack the column strength; generate them anew"):
        read_labels(path)
    with pytest.raises(UsageError, match="no labels can be read"):
        read_labels(tmp_path / "none.csv")
