"""Backward compatibility of schemas, and of today's with the released ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.fields import PURCHASE
from clickstream_guardian.events.schemas import avro_schema
from clickstream_guardian.sources.kafka.checks import check_released
from clickstream_guardian.sources.kafka.compatibility import backward_breaks

RELEASED = Path(__file__).parents[4] / "schemas/released"


def changed(**fields: Any) -> dict[str, Any]:
    schema = copy.deepcopy(avro_schema(PURCHASE))
    for field in schema["fields"]:
        field["type"] = fields.pop(field["name"], field["type"])
    schema["fields"] += [{"name": name, **rest} for name, rest in fields.items()]
    return schema


@pytest.mark.parametrize(
    "new",
    [
        changed(),
        changed(campaign={"type": ["null", "string"], "default": None}),
        changed(quantity=["null", "long"]),
        changed(session_id=["null", "string"]),
    ],
    ids=["same", "new field with default", "int to long", "made optional"],
)
def test_can_read_what_was_written(new: dict[str, Any]) -> None:
    assert backward_breaks(new, avro_schema(PURCHASE)) == []


@pytest.mark.parametrize(
    ("new", "name"),
    [
        (changed(weight={"type": "double"}), "weight"),
        (changed(quantity=["null", "string"]), "quantity"),
        (changed(user_id="string"), "user_id"),
        (changed(event_id={"type": "fixed", "name": "EventId", "size": 8}), "event_id"),
    ],
    ids=["no default", "another type", "made required", "another size"],
)
def test_cannot_read_what_was_written(new: dict[str, Any], name: str) -> None:
    assert [text.split("'")[1] for text in backward_breaks(new, avro_schema(PURCHASE))] == [name]


def test_todays_schemas_read_what_the_released_ones_wrote() -> None:
    assert check_released(RELEASED) == []


def test_a_folder_without_releases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        check_released(tmp_path)
