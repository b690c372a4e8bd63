"""Clean numbers that Spark computes, with perfect labels, are those of the shop left alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clickstream_guardian.pipelines.replay import Parts
from tests.clean import check_clean_numbers, made_attack

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.cluster


def test_clean_numbers_by_spark_are_those_of_the_shop_alone(
    two_homes: tuple[Parts, Parts], spark: SparkSession, tmp_path: Path
) -> None:
    from clickstream_guardian.engines.spark.batch import SparkEngine

    under_attack, left_alone = two_homes
    engine = SparkEngine(spark, under_attack.lake, days_at_a_time=2)
    check_clean_numbers(made_attack(tmp_path), under_attack, left_alone, engine)
