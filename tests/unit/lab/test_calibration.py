"""The traffic beside the data set: every tolerance holds, and a wrong one is seen."""

from __future__ import annotations

import json
from datetime import date
from importlib import resources
from pathlib import Path

import pytest

from clickstream_guardian.lab.calibration import CalibrationRow, bounds, measure_calibration
from clickstream_guardian.lab.days import midnight_ms, plan_days
from clickstream_guardian.lab.parameters import Parameters, default_parameters, load_parameters
from clickstream_guardian.lab.sample import Sampler
from clickstream_guardian.lab.traffic import draw_day, draw_ids, open_shop

SERIES = (date(2014, 4, 1), date(2014, 9, 29))


def _calibrate(
    parameters: Parameters, first: date, last: date, *, seed: int, scale: float
) -> dict[str, CalibrationRow]:
    shop = open_shop(parameters)
    plan = plan_days(parameters.arrivals, first, last, seed=seed, scale=scale)
    sampler = Sampler.for_plan(plan, midnight_ms(parameters.categories.switch_day))
    for place, day in enumerate(plan):
        sampler.add(place, *draw_day(shop, day, draw_ids(day).clean))
    rows = measure_calibration(parameters, *sampler.samples())
    return {row.metric: row for row in rows}


@pytest.mark.parametrize("seed", [1, 2])
def test_every_tolerance_holds_on_the_whole_series(seed: int) -> None:
    rows = _calibrate(default_parameters(), *SERIES, seed=seed, scale=0.05)
    assert len(rows) == 36
    wrong = [row for row in rows.values() if row.ok is not True]
    assert wrong == []


def test_a_hot_week_of_full_days_holds_what_a_week_can_show() -> None:
    rows = _calibrate(default_parameters(), date(2014, 8, 4), date(2014, 8, 10), seed=3, scale=1.0)
    judged = [row for row in rows.values() if row.ok is not None]
    assert len(judged) >= 26
    assert [row for row in judged if not row.ok] == []


def test_a_small_sample_is_not_judged() -> None:
    day = date(2014, 4, 7)
    rows = _calibrate(default_parameters(), day, day, seed=1, scale=0.1)
    assert all(row.ok is None for row in rows.values())
    assert "needs 20,000 sessions, has 6," in rows["session length, mean"].note


def test_one_day_is_not_judged_by_weekdays_or_categories() -> None:
    day = date(2014, 4, 7)
    rows = _calibrate(default_parameters(), day, day, seed=1, scale=1.0)
    assert rows["session length, mean"].ok is True
    assert rows["weekday shares, total variation"].note == "needs 56 days, has 1"
    same_category = rows["next click in the same category"]
    assert (same_category.measured, same_category.ok) == (None, None)


@pytest.mark.parametrize(
    ("section", "name", "value", "metric"),
    [
        ("visits", "dwell_session_share", 0.9, "clicks in 60 s, p99.9"),
        ("items", "same_item", 0.4, "next click on the same item"),
        ("items", "rank_exponent", 1.2, "one week: clicks on the top item"),
        ("categories", "keep", 0.9, "next click in the same category"),
        ("buying", "unknown_price", 0.4, "lines of unknown price"),
    ],
)
def test_a_wrong_parameter_is_seen(
    tmp_path: Path, section: str, name: str, value: object, metric: str
) -> None:
    file = resources.files("clickstream_guardian.lab") / "parameters.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    data[section][name] = value
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(data))
    rows = _calibrate(
        load_parameters(path), date(2014, 6, 23), date(2014, 7, 13), seed=1, scale=0.2
    )
    assert rows[metric].ok is False


@pytest.mark.parametrize(
    ("tolerance", "low", "high"),
    [("±2 %", 0.98, 1.02), ("±0.01", 0.99, 1.01), ("×/÷ 1.5", 1 / 1.5, 1.5), ("<= 12", 0, 12)],
)
def test_bounds_follow_the_written_tolerance(tolerance: str, low: float, high: float) -> None:
    assert bounds(1.0, tolerance) == pytest.approx((low, high))
