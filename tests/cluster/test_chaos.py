"""The short form of failures on purpose: a server breaks under load, nothing is lost or wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from clickstream_guardian.chaos.cluster.faults import CLUSTER_SCENARIOS
from clickstream_guardian.chaos.cluster.run import run_on
from clickstream_guardian.chaos.report import write_report
from tests.cluster.world import World


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7, 10])
def test_a_failure_under_load_loses_doubles_and_spoils_nothing(
    world: World, tmp_path: Path, number: int
) -> None:
    outcome = run_on(world.settings, tmp_path, CLUSTER_SCENARIOS[number], 2000, 8, print)
    verdict = outcome.verdict
    assert (verdict.lost, verdict.twice, verdict.wrong, verdict.attacks_missed) == (0, 0, 0, 0)
    assert verdict.is_clean
    assert verdict.attacks_found > 0
    assert outcome.held_rate is not None
    assert (verdict.api.stale + verdict.api.refused > 3) is (number == 4)  # its database
    assert verdict.caught_up_seconds is not None
    assert write_report(outcome, tmp_path).with_suffix(".png").exists()
