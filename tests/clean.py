"""A shop under attack, the same shop left alone, and what perfect labels make of its numbers."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import text

from clickstream_guardian.engines.days import MetricEngine
from clickstream_guardian.events.fields import CLICK, PURCHASE
from clickstream_guardian.lab.attacks import controls
from clickstream_guardian.lab.generator import write_dataset
from clickstream_guardian.pipelines.daily import compute_days, dirty_days, due_days
from clickstream_guardian.pipelines.pace import Pace
from clickstream_guardian.pipelines.replay import Parts, Request, replay
from clickstream_guardian.store.tables import METRIC_TABLES, METRIC_VIEWS

CLICKS, PURCHASES, LABELS = "yoochoose-clicks.dat", "yoochoose-buys.dat", "labels.csv"


class Nobody:
    """Watches a replay without a word."""

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: None


@dataclass(frozen=True)
class Attack:
    """Files of a shop under attack and without it, and the family of each attacking session."""

    attacked: Path
    alone: Path
    families: dict[str, str]


def made_attack(folder: Path) -> Attack:
    """Two days with every family of attack, events late, repeated and out of order."""
    attacked, alone = folder / "attacked", folder / "alone"
    attacked.mkdir()
    alone.mkdir()
    write_dataset(
        attacked,
        scale=0.03,
        days=(date(2014, 4, 7), date(2014, 4, 8)),
        seed=11,
        attacks="trial",
        disorder=0.02,
        late=0.01,
        duplicates=0.01,
    )
    with (attacked / LABELS).open(newline="") as file:
        labels = list(csv.DictReader(file))
    families = {
        r["session_id"]: r["family"] for r in labels if r["family"] not in controls.FAMILIES
    }
    for name in (CLICKS, PURCHASES):
        lines = (attacked / name).read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.partition(",")[0] not in families]
        assert len(kept) < len(lines)
        (alone / name).write_text("".join(kept), "utf-8")
    return Attack(attacked, alone, families)


def check_clean_numbers(
    attack: Attack, under_attack: Parts, left_alone: Parts, engine: MetricEngine
) -> None:
    """With perfect labels, an engine's clean numbers under attack are the raw ones without it."""
    _run(under_attack, attack.attacked)
    _run(left_alone, attack.alone)
    _judge_perfectly(under_attack, attack.families)
    due = due_days(under_attack.store, under_attack.lake, engine)
    compute_days(under_attack.store, engine, under_attack.metrics, due)
    assert dirty_days(under_attack.store, under_attack.lake) == []
    assert {one["rule"] for one in map(json.loads, _rows(under_attack, "daily_metrics_delta"))} == (
        set(attack.families.values())
    )
    for name in (*METRIC_TABLES, *METRIC_VIEWS):
        clean = _rows(under_attack, f"{name}_clean")
        assert clean == _rows(left_alone, name), name
        assert clean != _rows(under_attack, name), name


def _run(parts: Parts, data: Path) -> None:
    inputs = ((data / CLICKS, CLICK), (data / PURCHASES, PURCHASE))
    replay(parts, Request(inputs), Pace.parse("max"), Nobody())


def _rows(parts: Parts, relation: str) -> list[str]:
    with parts.store.begin() as connection:
        found = connection.execute(text(f"SELECT to_jsonb(r) FROM {relation} AS r"))
        return sorted(json.dumps(row, sort_keys=True) for (row,) in found)


def _judge_perfectly(parts: Parts, families: dict[str, str]) -> None:
    """Every attacking session is abusive, nobody else is; the family stands for the rule."""
    verdict = """
        INSERT INTO session_verdicts (session_id, verdict, score, rules, first_flagged_at)
        VALUES (:session, 'abusive', 1, jsonb_build_array(CAST(:family AS text)), '2014-04-07')
    """
    given = [{"session": session, "family": family} for session, family in families.items()]
    with parts.store.begin() as connection:
        connection.execute(text("DELETE FROM session_verdicts"))
        connection.execute(text(verdict), given)
