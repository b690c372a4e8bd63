"""Days computed part by part, verified, and the lake tidied up, by the commands people run."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import text

from clickstream_guardian.settings import Settings
from clickstream_guardian.store import open_store
from tests.scenarios.conftest import Guardian


def test_verify_and_upkeep(guardian: Guardian, small_shop: Path) -> None:
    files = ["--clicks", str(small_shop / "yoochoose-clicks.dat")]
    guardian.run("replay", *files)
    guardian.run("verify", "--from", "2014-04-07", "--to", "2014-04-08")

    with_purchases = ["--purchases", str(small_shop / "yoochoose-buys.dat")]
    guardian.run("replay", *files, *with_purchases)
    for name in ("daily_metrics", "session_funnel", "popular_items", "popular_categories"):
        guardian.run("batch", "2014-04-07", "--metric", name)
    before = json.loads(guardian.run("batch", "--dirty", "--before", "2014-04-08", "--json").stdout)
    assert before == {"days": []}
    assert "all numbers agree" in guardian.run("verify", "2014-04-07").stdout

    guardian.run("maintain", "compact")
    guardian.run("maintain", "expire")
    assert "anomaly_sessions_" in guardian.run("maintain", "partitions").stdout
    assert "Made: none" in guardian.run("maintain", "partitions").stdout
    guardian.run("verify", "2014-04-08")


def test_a_difference_is_loud_and_named(guardian: Guardian, small_shop: Path) -> None:
    guardian.run("replay", "--clicks", str(small_shop / "yoochoose-clicks.dat"))
    settings = Settings(home=guardian.home, database_url=None)
    with open_store(settings) as store, store.begin() as connection:
        connection.execute(text("DELETE FROM item_daily WHERE dt = '2014-04-07'"))
    done = guardian.run("verify", "--from", "2014-04-07", "--to", "2014-04-08", code=1)
    assert "item_daily.clicks is 0" in done.stdout
    assert "2 numbers of 1 days" in done.stderr
    (first, second) = guardian.run("verify", "2014-04-07", "--json", code=1).stdout.splitlines()
    assert json.loads(first)["what"] == "item_daily.clicks"
    assert json.loads(second)["what"] == "item_daily.clicked_items"


def test_wrong_words_are_refused(guardian: Guardian) -> None:
    said = guardian.run("batch", "2014-04-07", "--metric", "sales", code=2).stderr
    assert "'sales'" in said
    assert "daily_metrics" in said
    assert "Say which days" in guardian.run("verify", code=2).stderr
    assert "--dirty" in guardian.run("batch", "2014-04-07", "--before", "2014-04-01", code=2).stderr
