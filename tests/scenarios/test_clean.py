"""Clean numbers of a shop under attack, with perfect labels, are those of the shop left alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from clickstream_guardian.cli.opening import opened
from clickstream_guardian.events.fields import CLICK, PURCHASE
from clickstream_guardian.lab.attacks import controls
from clickstream_guardian.lab.generator import write_dataset
from clickstream_guardian.pipelines.daily import compute_days, dirty_days, due_days
from clickstream_guardian.pipelines.pace import Pace
from clickstream_guardian.pipelines.replay import Parts, Request, replay
from clickstream_guardian.settings import Settings
from clickstream_guardian.store.tables import METRIC_TABLES, METRIC_VIEWS
from tests.conftest import make_home, remove_home

CLICKS, PURCHASES, LABELS = "yoochoose-clicks.dat", "yoochoose-buys.dat", "labels.csv"


class Nobody:
    """Watches a replay without a word."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: None


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days with every family of attack, events late, repeated and out of order."""
    folder = tmp_path_factory.mktemp("attacked")
    write_dataset(
        folder,
        scale=0.03,
        days=(date(2014, 4, 7), date(2014, 4, 8)),
        seed=11,
        attacks="trial",
        disorder=0.02,
        late=0.01,
        duplicates=0.01,
    )
    return folder


@pytest.fixture(scope="module")
def families(attacked: Path) -> dict[str, str]:
    """The family of each attacking session; controls are no attacks."""
    with (attacked / LABELS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {r["session_id"]: r["family"] for r in rows if r["family"] not in controls.FAMILIES}


@pytest.fixture(scope="module")
def alone(attacked: Path, families: dict[str, str], tmp_path_factory: Any) -> Path:
    """The same files without a line of those sessions."""
    folder: Path = tmp_path_factory.mktemp("alone")
    for name in (CLICKS, PURCHASES):
        lines = (attacked / name).read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.partition(",")[0] not in families]
        assert len(kept) < len(lines)
        (folder / name).write_text("".join(kept), "utf-8")
    return folder


@pytest.fixture
def homes() -> Iterator[tuple[Parts, Parts]]:
    with ExitStack() as stack:
        found = []
        for _ in range(2):
            home = make_home()
            stack.callback(remove_home, home)
            found.append(stack.enter_context(opened(Settings(home=home, database_url=None))))
        yield found[0], found[1]


def run(parts: Parts, data: Path) -> None:
    inputs = ((data / CLICKS, CLICK), (data / PURCHASES, PURCHASE))
    replay(parts, Request(inputs), Pace.parse("max"), Nobody())


def rows(parts: Parts, relation: str) -> list[str]:
    with parts.store.begin() as connection:
        found = connection.execute(text(f"SELECT to_jsonb(r) FROM {relation} AS r"))
        return sorted(json.dumps(row, sort_keys=True) for (row,) in found)


def judge_perfectly(parts: Parts, families: dict[str, str]) -> None:
    """Every attacking session is abusive, nobody else is; the family stands for the rule."""
    verdict = """
        INSERT INTO session_verdicts (session_id, verdict, score, rules, first_flagged_at)
        VALUES (:session, 'abusive', 1, jsonb_build_array(CAST(:family AS text)), '2014-04-07')
    """
    given = [{"session": session, "family": family} for session, family in families.items()]
    with parts.store.begin() as connection:
        connection.execute(text("DELETE FROM session_verdicts"))
        connection.execute(text(verdict), given)


def test_clean_numbers_of_an_attacked_shop_are_those_of_the_shop_alone(
    homes: tuple[Parts, Parts], attacked: Path, alone: Path, families: dict[str, str]
) -> None:
    under_attack, left_alone = homes
    run(under_attack, attacked)
    run(left_alone, alone)
    judge_perfectly(under_attack, families)
    due = due_days(under_attack.store, under_attack.lake, under_attack.engine)
    compute_days(under_attack.store, under_attack.engine, under_attack.metrics, due)
    assert dirty_days(under_attack.store, under_attack.lake) == []
    assert {one["rule"] for one in map(json.loads, rows(under_attack, "daily_metrics_delta"))} == (
        set(families.values())
    )
    for name in (*METRIC_TABLES, *METRIC_VIEWS):
        clean = rows(under_attack, f"{name}_clean")
        assert clean == rows(left_alone, name), name
        assert clean != rows(under_attack, name), name
