"""The parameter file: complete, in range, and clear about what is wrong."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.lab.parameters import default_parameters, load_parameters


@pytest.fixture
def data() -> dict[str, Any]:
    file = resources.files("clickstream_guardian.lab") / "parameters.json"
    return json.loads(file.read_text(encoding="utf-8"))


def _load(folder: Path, data: object) -> None:
    path = folder / "mine.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    load_parameters(path)


def test_default_holds_the_whole_series() -> None:
    parameters = default_parameters()
    assert len(parameters.arrivals.daily_sessions) == 182
    assert len(parameters.visits.length_sessions) == 200
    assert sum(parameters.items.community_items) == 52_739
    assert len(parameters.items.community_items) == 35


def test_default_passes_its_own_checks(tmp_path: Path, data: dict[str, Any]) -> None:
    _load(tmp_path, data)


@pytest.mark.parametrize(
    ("section", "name", "value", "sentence"),
    [
        ("arrivals", "hour_share", [1.0] * 23, r"hour_share has 23 values; it must have 24"),
        ("arrivals", "first_day", "1 April", r"first_day is '1 April'; write a day as YYYY-MM-DD"),
        ("arrivals", "noise_sigma", -1, r"noise_sigma is -1; it must be at least 0"),
        ("arrivals", "total_sessions", "many", r"total_sessions is 'many'; it must be a whole"),
        ("arrivals", "total_sessions", True, r"total_sessions is True; it must be a whole number"),
        ("arrivals", "daily_buy_rate", [0.1], r"daily_buy_rate has 1 values; .* has 182"),
        ("visits", "dwell_session_share", 2, r"dwell_session_share is 2; it must be at most 1"),
        ("visits", "dwell_seconds", list(range(19, 0, -1)), r"dwell_seconds must rise"),
        ("visits", "length_sessions", 7, r"visits.length_sessions must be a list"),
        ("items", "same_item", 0.9, r"add up to more than 1"),
        ("categories", "names", ["x"] * 14, r'must hold "0"'),
        ("buying", "distinct_items", [0.0], r"distinct_items must have a value above 0"),
    ],
)
def test_wrong_value_is_named_with_its_place(
    tmp_path: Path, data: dict[str, Any], section: str, name: str, value: object, sentence: str
) -> None:
    data[section][name] = value
    with pytest.raises(UsageError, match=rf"mine\.json: .*{sentence}"):
        _load(tmp_path, data)


def test_missing_and_unknown_names(tmp_path: Path, data: dict[str, Any]) -> None:
    del data["visits"]["dwell_seconds"]
    with pytest.raises(UsageError, match=r"visits\.dwell_seconds is missing"):
        _load(tmp_path, data)
    data["visits"]["dwell_second"] = 1
    with pytest.raises(UsageError, match=r"visits\.dwell_second is not known"):
        _load(tmp_path, data)
    with pytest.raises(UsageError, match="the file must be an object"):
        _load(tmp_path, [])


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Cannot read the parameter file .*none\.json"):
        load_parameters(tmp_path / "none.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(UsageError, match=r"broken\.json is not a JSON file"):
        load_parameters(broken)
