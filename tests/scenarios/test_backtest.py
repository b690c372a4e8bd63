"""A back-test over the lake finds what the replay found; what-if is a back-test of variants."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from tests.scenarios.conftest import Guardian
from tests.scenarios.test_replay import replay_args

DAYS = ("--days", "2014-04-07..2014-04-10")


def _stored(guardian: Guardian) -> dict[str, int]:
    """Sessions by rule, as the replay saved them."""
    sessions: dict[str, set[str]] = defaultdict(set)
    for line in guardian.run("anomalies", "--limit", "100000", "--json").stdout.splitlines():
        row = json.loads(line)
        sessions[row["rule"]].add(row["session_id"])
    return {rule: len(found) for rule, found in sessions.items()}


def test_a_backtest_flags_the_sessions_that_the_replay_flagged(
    guardian: Guardian, rough_shop: Path, tmp_path: Path
) -> None:
    guardian.run(*replay_args(rough_shop, "--order", "file"))
    labels = str(rough_shop / "labels.csv")
    picture = tmp_path / "scores.png"
    told = json.loads(
        guardian.run(
            "backtest", *DAYS, "--labels", labels, "--picture", str(picture), "--json"
        ).stdout
    )
    flagged = {row["rule"]: row["flagged"] for row in told["rules"] if row["flagged"]}
    assert flagged == _stored(guardian)
    assert told["flagged_clean"] <= 2
    assert {row["recall"] for row in told["families"]} == {1.0}
    assert picture.read_bytes().startswith(b"\x89PNG")
    clicks = next(row for row in told["numbers"] if row["number"] == "clicks")
    assert clicks["clean"] < clicks["raw"]

    curve = json.loads(
        guardian.run(
            "whatif", "HIGH_FREQUENCY", "--set", "clicks=10..400", "--points", "4", *DAYS, "--json"
        ).stdout
    )
    assert [point["value"] for point in curve] == [10, 140, 270, 400]
    counts = [point["flagged"] for point in curve]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 0
    assert guardian.run("backtest", *DAYS, code=0).stdout.count("SUPERHUMAN_BURST") == 1
    wrong = guardian.run("backtest", "--days", "2015-01-01", code=2).stderr
    assert "holds no clicks from 2015-01-01 to 2015-01-01; replay them first" in wrong
