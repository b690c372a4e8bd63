"""Verdicts follow the anomalies, the allow-list and the modes of rules."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from clickstream_guardian.detector.model import Anomaly
from clickstream_guardian.store import Store, upsert_anomalies, withdraw_forgotten
from clickstream_guardian.store.verdicts import (
    judge_all,
    list_allowed,
    remove_allowed,
    save_allowed,
)
from clickstream_guardian.verdicts import AllowEntry, AllowKind
from tests.unit.store.samples import START, anomaly, at, sample

HOUR = timedelta(hours=1)


def write(store: Store, *rows: Anomaly, shadow: frozenset[str] = frozenset()) -> None:
    with store.begin() as connection:
        upsert_anomalies(connection, {"": rows}, shadow=shadow)


def allow(store: Store, kind: AllowKind, value: str, until: datetime | None = None) -> None:
    with store.begin() as connection:
        save_allowed(connection, AllowEntry(kind, value, "ours", until))
        assert judge_all(connection, ())


def verdicts(store: Store) -> dict[str, tuple[str, list[str], int]]:
    query = "SELECT session_id, verdict, rules, revision FROM session_verdicts"
    with store.begin() as connection:
        return {row[0]: (row[1], row[2], row[3]) for row in connection.execute(text(query))}


def test_a_verdict_comes_with_the_first_anomaly_and_grows_with_the_next(store: Store) -> None:
    write(store, anomaly(1, severity="medium"))
    assert verdicts(store) == {"42": ("suspect", ["HIGH_FREQUENCY"], 1)}
    write(store, anomaly(2, rule="CLICK_FARM", severity="medium"))
    assert verdicts(store) == {"42": ("abusive", ["CLICK_FARM", "HIGH_FREQUENCY"], 2)}


def test_more_of_the_same_is_no_revision_and_nothing_new_changes_nothing(store: Store) -> None:
    write(store, anomaly(1))
    later = at(START + HOUR, 2, first_crossed_at=START + HOUR)
    write(store, later)
    write(store, later)
    assert verdicts(store)["42"][2] == 1
    with store.begin() as connection:
        query = text("SELECT first_flagged_at, last_flagged_at FROM session_verdicts")
        assert connection.execute(query).one() == (START + timedelta(seconds=7), START + HOUR)


def test_a_withdrawn_anomaly_takes_its_verdict_with_it(store: Store) -> None:
    write(store, anomaly(1, status="open"), anomaly(2, session_id="7"))
    write(store, anomaly(1, status="withdrawn"))
    assert verdicts(store)["42"] == ("clean", [], 2)
    assert verdicts(store)["7"][0] == "abusive"


def test_a_forgotten_preview_takes_its_verdict_with_it(store: Store) -> None:
    write(store, anomaly(1, status="open"))
    with store.begin() as connection:
        assert withdraw_forgotten(connection, {"": START + HOUR}) == 1
    assert verdicts(store)["42"][0] == "clean"


def test_a_rule_in_shadow_leaves_the_session_clean_until_it_is_enforced(store: Store) -> None:
    write(store, anomaly(1), shadow=frozenset({"HIGH_FREQUENCY"}))
    assert verdicts(store)["42"] == ("clean", [], 1)
    with store.begin() as connection:
        assert judge_all(connection, {"HIGH_FREQUENCY"})
        assert not judge_all(connection, {"HIGH_FREQUENCY"})
        assert judge_all(connection, ())
    assert verdicts(store)["42"] == ("abusive", ["HIGH_FREQUENCY"], 2)


def test_an_allowed_session_is_clean_whatever_comes_until_the_entry_goes(store: Store) -> None:
    write(store, anomaly(1))
    allow(store, AllowKind.SESSION, "42")
    write(store, anomaly(2, rule="BOT_LIKE", severity="critical"))
    assert verdicts(store)["42"][:2] == ("clean", [])
    with store.begin() as connection:
        assert remove_allowed(connection, AllowKind.SESSION, "42")
        assert judge_all(connection, ())
        assert list_allowed(connection) == []
    assert verdicts(store)["42"][:2] == ("abusive", ["BOT_LIKE", "HIGH_FREQUENCY"])


def test_an_expired_entry_covers_nothing(store: Store) -> None:
    write(store, anomaly(1))
    allow(store, AllowKind.SESSION, "42", datetime.now(UTC) - HOUR)
    assert verdicts(store)["42"][0] == "abusive"


@pytest.mark.parametrize("allowed_first", [True, False])
def test_an_allowed_item_covers_what_lies_on_it_alone(store: Store, allowed_first: bool) -> None:
    rows = [
        anomaly(1, sample=sample(START, START, items=("9", "9"))),
        anomaly(2, rule="BOT_LIKE", sample=sample(START, START, items=("9", "8"))),
        anomaly(3, session_id="only", sample=sample(START, START, items=("9", "9"))),
        anomaly(4, session_id="none", sample=sample()),
    ]
    if not allowed_first:
        write(store, *rows)
    allow(store, AllowKind.ITEM, "9")
    if allowed_first:
        write(store, *rows)
    found = {name: row[:2] for name, row in verdicts(store).items()}
    assert found == {
        "42": ("abusive", ["BOT_LIKE"]),
        "only": ("clean", []),
        "none": ("abusive", ["HIGH_FREQUENCY"]),
    }


@pytest.mark.parametrize("seed", range(5))
def test_step_by_step_is_what_judging_all_anew_gives(store: Store, seed: int) -> None:
    """However anomalies come, change and go, the kept verdicts are those of what stands."""
    rng = random.Random(seed)
    for _ in range(12):
        write(
            store,
            *(
                at(
                    START + HOUR * rng.randint(0, 900),
                    rng.randint(0, 40),
                    session_id=str(rng.randint(0, 5)),
                    rule=rng.choice(["A", "B", "C"]),
                    severity=rng.choice(["low", "medium", "high"]),
                    status=rng.choice(["open", "final", "withdrawn"]),
                )
                for _ in range(rng.randint(0, 6))
            ),
        )
    kept = verdicts(store)
    with store.begin() as connection:
        assert judge_all(connection, ())
    assert verdicts(store) == kept


def test_a_preview_that_grows_beyond_the_allowed_item_counts(store: Store) -> None:
    allow(store, AllowKind.ITEM, "9")
    write(store, anomaly(1, status="open", sample=sample(START, START, items=("9", "9"))))
    assert verdicts(store)["42"][0] == "clean"
    write(store, anomaly(1, status="open", sample=sample(START, START, items=("9", "8"))))
    assert verdicts(store)["42"][0] == "abusive"


def test_a_preview_whose_crossing_moves_moves_the_first_flag(store: Store) -> None:
    write(store, anomaly(1, status="open"))
    write(store, anomaly(1, event_count=61, first_crossed_at=START))
    with store.begin() as connection:
        query = text("SELECT first_flagged_at, revision FROM session_verdicts")
        assert connection.execute(query).one() == (START, 2)
