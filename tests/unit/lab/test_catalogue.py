"""The catalogue: ids, families and the tables of a week."""

from __future__ import annotations

import numpy as np

from clickstream_guardian.lab.catalogue import build_catalogue
from clickstream_guardian.lab.parameters import default_parameters

PARAMETERS = default_parameters()
CATALOGUE = build_catalogue(PARAMETERS.items, PARAMETERS.buying)


def test_ids_are_nine_digits_and_given_once() -> None:
    ids = CATALOGUE.item_id
    assert len(np.unique(ids)) == len(ids) == 52_739
    assert ids.min() >= 214_500_000
    assert ids.max() < 215_000_000


def test_variants_of_a_product_have_neighbouring_ids() -> None:
    span = CATALOGUE.item_id - CATALOGUE.item_id[CATALOGUE.family_start]
    assert span.min() == 0
    assert span.max() <= 10
    rows = np.arange(len(span))
    assert np.all(rows < CATALOGUE.family_start + CATALOGUE.family_size)


def test_week_table_rises_and_gives_each_community_its_span() -> None:
    table = CATALOGUE.week_table(5)
    assert np.all(np.diff(table) >= 0)
    assert table[CATALOGUE.community_end - 1].tolist() == list(range(1, 36))


def test_popularity_turns_over_from_month_to_month() -> None:
    def top(week: int) -> set[int]:
        weights = np.diff(CATALOGUE.week_table(week), prepend=0.0)
        return set(np.argsort(weights)[-300:].tolist())

    assert len(top(2) & top(3)) > 150
    assert len(top(2) & top(15)) < 100


def test_prices_are_whole_and_above_zero() -> None:
    assert CATALOGUE.price.min() >= 104
