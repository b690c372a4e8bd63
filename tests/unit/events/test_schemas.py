"""Every schema follows from the one field table."""

from __future__ import annotations

import json
from pathlib import Path

import fastavro
import pytest

from clickstream_guardian.events.fields import CLICK, PURCHASE, EventKind
from clickstream_guardian.events.schemas import avro_files, raw_arrow_schema

SCHEMAS = Path(__file__).parents[3] / "schemas"


@pytest.mark.parametrize("name", sorted(avro_files()))
def test_the_checked_in_schema_is_fresh(name: str) -> None:
    assert json.loads((SCHEMAS / name).read_text()) == avro_files()[name]


@pytest.mark.parametrize("name", sorted(avro_files()))
def test_the_schema_is_one_that_avro_understands(name: str) -> None:
    assert fastavro.parse_schema(avro_files()[name])["name"].startswith("clickstream.guardian.")


@pytest.mark.parametrize("kind", [CLICK, PURCHASE])
def test_a_raw_row_is_the_event_its_ingestion_and_its_place(kind: EventKind) -> None:
    names = raw_arrow_schema(kind).names
    assert names == [
        *kind.field_names,
        *("source", "partition", "offset", "received_at", "dt", "hour"),
    ]
