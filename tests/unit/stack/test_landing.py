"""The log held against the lake: missing, repeated, and what lies outside the log."""

from __future__ import annotations

import polars as pl

from clickstream_guardian.sources.kafka.admin import OffsetSpan
from clickstream_guardian.stack.landing import TopicAudit, compare

SPANS = [OffsetSpan(0, 2, 5), OffsetSpan(1, 0, 2)]


def rows(*places: tuple[int, int]) -> pl.DataFrame:
    schema = {"partition": pl.Int32, "offset": pl.Int64}
    return pl.DataFrame(list(places), schema=schema, orient="row")


ALL = ((0, 2), (0, 3), (0, 4), (1, 0), (1, 1))


def audited(landed: pl.DataFrame, rejected: pl.DataFrame) -> TopicAudit:
    return compare("t", SPANS, landed, rejected)


def test_all_is_there_once() -> None:
    assert audited(rows(*ALL), rows()) == TopicAudit("t", 5, 5, 0, 0, 0)


def test_a_rejection_stands_for_its_message() -> None:
    assert audited(rows(*ALL[1:]), rows(ALL[0])) == TopicAudit("t", 5, 4, 1, 0, 0)


def test_what_is_nowhere_is_missing() -> None:
    assert audited(rows(*ALL[:2]), rows(ALL[4])).missing == 2


def test_each_row_too_many_is_repeated() -> None:
    assert audited(rows(*ALL, ALL[0], ALL[0]), rows(ALL[1])).repeated == 3


def test_rows_that_the_log_has_let_go_of_do_not_count() -> None:
    assert audited(rows(*ALL, (0, 1), (0, 5), (7, 0)), rows()) == TopicAudit("t", 5, 5, 0, 0, 0)
