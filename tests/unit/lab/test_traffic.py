"""One day of clean traffic: sessions whole, ids scattered, purchases of clicked items."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.days import SLOTS, Day, plan_days
from clickstream_guardian.lab.parameters import default_parameters
from clickstream_guardian.lab.traffic import draw_day, draw_ids, open_shop

PARAMETERS = default_parameters()
SHOP = open_shop(PARAMETERS)


def _day(day: date, sessions: int = 20_000) -> Day:
    return plan_days(PARAMETERS.arrivals, day, day, seed=9, sessions=sessions)[0]


APRIL = _day(date(2014, 4, 7))
CLICKS, PURCHASES = draw_day(SHOP, APRIL, draw_ids(APRIL).clean)


def test_sessions_stand_together_and_rise_in_time() -> None:
    first = CLICKS.ordinal == 0
    assert first.sum() == 20_000
    assert len(np.unique(CLICKS.session_id)) == 20_000
    inside = ~first[1:]
    assert np.all(CLICKS.session_id[1:][inside] == CLICKS.session_id[:-1][inside])
    gaps = np.diff(CLICKS.at_ms)[inside]
    assert gaps.min() >= 0
    assert gaps.max() < 3_600_000


def test_sessions_begin_on_their_day() -> None:
    starts = CLICKS.at_ms[CLICKS.ordinal == 0] - APRIL.start_ms
    assert starts.min() >= 0
    assert starts.max() < 86_400_000


def test_ids_are_in_no_order_of_time() -> None:
    first = CLICKS.ordinal == 0
    order = np.corrcoef(CLICKS.session_id[first], CLICKS.at_ms[first])[0, 1]
    assert abs(order) < 0.05


def test_millisecond_digit_is_uniform() -> None:
    share = np.bincount(CLICKS.at_ms % 10, minlength=10) / len(CLICKS)
    assert np.abs(share - 0.1).max() < 0.006


def test_purchases_follow_the_last_click_on_a_clicked_item() -> None:
    clicked = set(zip(CLICKS.session_id.tolist(), CLICKS.item.tolist(), strict=True))
    bought = set(zip(PURCHASES.session_id.tolist(), PURCHASES.item.tolist(), strict=True))
    assert bought <= clicked
    last = dict(zip(CLICKS.session_id.tolist(), CLICKS.at_ms.tolist(), strict=True))
    pairs = zip(PURCHASES.session_id.tolist(), PURCHASES.at_ms.tolist(), strict=True)
    assert all(at > last[session] for session, at in pairs)


def test_price_and_quantity_are_unknown_together() -> None:
    assert np.all((PURCHASES.price == 0) == (PURCHASES.quantity == 0))
    assert 0.3 < np.mean(PURCHASES.price == 0) < 0.7


def test_purchase_lines_of_a_session_are_counted_from_zero() -> None:
    session, first = np.unique(PURCHASES.session_id, return_index=True)
    assert np.all(PURCHASES.ordinal[first] == 0)
    assert (PURCHASES.ordinal == 0).sum() == len(session)


def test_categories_are_missing_before_the_switch_day_only() -> None:
    missing = SHOP.contexts.missing
    assert set(CLICKS.category.tolist()) == {missing}
    later = _day(date(2014, 6, 22))
    filled, _ = draw_day(SHOP, later, draw_ids(later).clean)
    assert np.mean(filled.category == missing) == pytest.approx(0.053, abs=0.02)
    names = SHOP.contexts.names
    assert np.mean(filled.category == names.index("S")) == pytest.approx(0.6, abs=0.03)
    brands = [int(name) for name in names if len(name) >= 8]
    assert len(brands) == len(set(brands)) == 24
    assert max(brands) < 10**10


def test_injected_ids_cannot_meet_clean_ones() -> None:
    ids = draw_ids(APRIL)
    assert len(ids.clean) == 20_000
    assert len(np.unique(np.concatenate([ids.clean, ids.spare]))) == SLOTS
    assert abs(np.median(ids.clean) - np.median(ids.spare)) < 0.05 * 7 * SLOTS


def test_too_many_sessions_for_the_ids() -> None:
    with pytest.raises(UsageError, match="lower the scale"):
        draw_ids(Day(1, date(2014, 4, 7), SLOTS + 1, 1.0))


def test_a_day_without_sessions_is_empty() -> None:
    empty = Day(1, date(2014, 4, 7), 0, 1.0)
    clicks, purchases = draw_day(SHOP, empty, draw_ids(empty).clean)
    assert len(clicks) == len(purchases) == 0
