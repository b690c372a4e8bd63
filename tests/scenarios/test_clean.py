"""Clean numbers of a shop under attack, with perfect labels, are those of the shop left alone."""

from __future__ import annotations

from pathlib import Path

from clickstream_guardian.pipelines.replay import Parts
from tests.clean import check_clean_numbers, made_attack


def test_clean_numbers_of_an_attacked_shop_are_those_of_the_shop_alone(
    two_homes: tuple[Parts, Parts], tmp_path: Path
) -> None:
    under_attack, left_alone = two_homes
    check_clean_numbers(made_attack(tmp_path), under_attack, left_alone, under_attack.engine)
