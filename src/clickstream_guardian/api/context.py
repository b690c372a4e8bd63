"""What every route works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from fastapi import Request

from clickstream_guardian.api.config import ApiConfig
from clickstream_guardian.api.measures import Measures
from clickstream_guardian.api.spare import SpareAnswers
from clickstream_guardian.api.stream import ChangeFeed
from clickstream_guardian.store.read import Reader


@dataclass(frozen=True)
class Context:
    """The parts of a running API."""

    config: ApiConfig
    reader: Reader
    measures: Measures
    feed: ChangeFeed
    spare: SpareAnswers = field(default_factory=SpareAnswers)


def parts_of(request: Request) -> Context:
    """The parts that ``create_app`` put beside the application."""
    return cast(Context, request.app.state.context)


def reader_of(request: Request) -> Reader:
    """How a route reads the database."""
    return parts_of(request).reader
